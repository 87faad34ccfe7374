// Runs inside the scratch environment of peers.py: texts in as JSON lines, a JSON line of flags out.
// promptfoo's own is-refusal assertion, called through its public API.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// Resolved from the scratch folder, not from where this file lies.
const from = createRequire(join(process.cwd(), 'package.json'));
const entry = from.resolve('promptfoo').replace(/\.cjs$/, '.js');
const { assertions } = (await import(pathToFileURL(entry))).default;

const flags = [];
for await (const line of createInterface({ input: process.stdin })) {
  const found = await assertions.runAssertion({
    assertion: { type: 'is-refusal' },
    test: {},
    providerResponse: { output: JSON.parse(line) },
  });
  flags.push(found.pass);
}
process.stdout.write(JSON.stringify(flags) + '\n', () => process.exit(0));
