// Two texts of JSON, line by line: what stayed, went and came (longest common subsequence; the texts are small).
// A comma at a line's end says that more follows, not that the line is another one.

/** @param {string} before @param {string} after @returns {{ kind: "same" | "gone" | "new", line: string }[]} */
export function diffLines(before, after) {
  const a = before.split("\n");
  const b = after.split("\n");
  const same = (/** @type {number} */ i, /** @type {number} */ j) => a[i].replace(/,$/, "") === b[j].replace(/,$/, "");
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = same(i, j) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  /** @type {{ kind: "same" | "gone" | "new", line: string }[]} */
  const out = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(i, j)) {
      out.push({ kind: "same", line: b[j] });
      i++;
      j++;
    } else if (i < a.length && (j === b.length || common[i + 1][j] >= common[i][j + 1])) out.push({ kind: "gone", line: a[i++] });
    else out.push({ kind: "new", line: b[j++] });
  }
  return out;
}
