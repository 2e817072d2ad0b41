// What models answer natively, and how near to it a script's answers have to be.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const folder = process.env.ATTAR_CASES ?? assert.fail("ATTAR_CASES names the folder that `cargo test` prepares");
export const cases = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"));
assert.ok(cases.length > 0, "no cases");

/** Other instructions round otherwise; in small integers a number may fall to the other side of a step. */
export const tolerance = (name) => (name.endsWith("int8") || name === "alike" ? 2e-2 : 1e-4);

/** Words are the same, and numbers nearly: ids and places would be off by one at least. */
export function near(found, expected, tolerance, where) {
  if (typeof expected === "number" && typeof found === "number") {
    assert.ok(Math.abs(found - expected) <= tolerance, `${where}: ${found} is not ${expected}`);
  } else if (expected !== null && typeof expected === "object") {
    assert.ok(found !== null && typeof found === "object", where);
    assert.equal(Object.keys(found).length, Object.keys(expected).length, where);
    for (const key of Object.keys(expected)) near(found[key], expected[key], tolerance, `${where}.${key}`);
  } else {
    assert.equal(found, expected, where);
  }
}
