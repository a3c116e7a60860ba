// What a first visit loads: its script, as it comes over the wire.

import assert from "node:assert/strict";

const MOST = 200 * 1024;

/** Bytes of script of the page as it was loaded last. */
export const scriptBytes = (page) =>
    page.evaluate(() =>
        performance
            .getEntriesByType("resource")
            .filter((each) => each.name.endsWith(".js"))
            .reduce((sum, each) => sum + each.encodedBodySize, 0),
    );

export const assertLight = (bytes) => assert.ok(bytes <= MOST, `${bytes} bytes of script, of ${MOST} at most`);
