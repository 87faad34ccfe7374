// The recorded answers of an incident as a promptfoo provider: UNQUIET_WHEN=before or after, UNQUIET_NTH=1 takes the second.
// This folder holds answers as they were given: keep it where the traffic may be.

const fs = require('fs');
const path = require('path');

const rows = fs.readFileSync(path.join(__dirname, 'recorded.jsonl'), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

module.exports = class RecordedProvider {
  id() {
    return `recorded-${process.env.UNQUIET_WHEN ?? 'before'}`;
  }

  async callApi(prompt) {
    const asked = JSON.parse(prompt).filter((message) => message.role === 'user').map((message) => message.content);
    const row = rows.find((each) => JSON.stringify(each.requests) === JSON.stringify(asked));
    if (!row) return { output: '(an earlier answer)' };
    const answers = row[process.env.UNQUIET_WHEN ?? 'before'];
    const answer = answers[Number(process.env.UNQUIET_NTH ?? 0) % answers.length];
    return { output: answer.output, metadata: { tool_calls: answer.tool_calls } };
  }
};
