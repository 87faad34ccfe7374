// Checks of answers: what the assertions of this folder mean. `context.config` is the assertion.

function textOf(output) {
  if (typeof output === 'string') return output;
  if (output && typeof output === 'object' && !Array.isArray(output)) return String(output.output ?? output.content ?? '');
  return '';
}

function callsOf(output, context) {
  const told = context.providerResponse?.metadata?.tool_calls ?? (Array.isArray(output) ? output : output?.tool_calls);
  if (!Array.isArray(told)) return null;
  return told.map((call) => (typeof call === 'string' ? call : call?.function?.name ?? call?.name ?? ''));
}

function words(text) {
  const plain = text.normalize('NFKC').toLowerCase().replace(/['’]/g, '');
  const spaced = plain.replace(new RegExp(APART, 'gu'), ' $1 ');
  return ` ${spaced.replace(/[^\p{L}\p{N}\p{M}]+/gu, ' ').trim()} `;
}

function script(text) {
  let best = null;
  let most = 0;
  for (const [name, letters] of Object.entries(SCRIPTS)) {
    const count = (text.match(new RegExp(letters, 'gu')) ?? []).length;
    if (count > most) [best, most] = [name, count];
  }
  return best;
}

function holds(part, text) {
  if (part !== 'json') return new RegExp(PARTS[part], 'u').test(text);
  try {
    const value = JSON.parse(text.replace(/^\s*```[a-zA-Z]*\s*|\s*```\s*$/g, ''));
    return value !== null && typeof value === 'object';
  } catch {
    return false;
  }
}

function wrong(assertion, text, calls) {
  const want = assertion.want ?? true;
  if (assertion.kind === 'holds') return holds(assertion.part, text) === want ? null : `it does${want ? ' not' : ''}`;
  if (assertion.kind === 'length') {
    const size = [...text].length;
    return size >= (assertion.least ?? 0) && size <= (assertion.most ?? Infinity) ? null : `it has ${size}`;
  }
  if (assertion.kind === 'terms') {
    const said = assertion.terms.filter((term) => words(text).includes(words(term)));
    return said.length > 0 === want ? null : `it says ${said.join(', ') || 'none of them'}`;
  }
  if (assertion.kind === 'script') {
    const found = script(text);
    return found === null || found === assertion.script ? null : `it is in ${found}`;
  }
  if (assertion.kind === 'calls') {
    if (calls === null) return 'the agent does not tell which tools it called';
    const called = assertion.tool == null ? calls.length > 0 : calls.includes(assertion.tool);
    return called === want ? null : `it called ${calls.join(', ') || 'none'}`;
  }
  return `${assertion.kind} is not known here`;
}

module.exports = (output, context) => {
  const reason = wrong(context.config, textOf(output), callsOf(output, context));
  const expected = context.config.said;
  return { pass: reason === null, score: reason === null ? 1 : 0, reason: reason === null ? expected : `expected: ${expected}; ${reason}` };
};
