// The two ways in which Bakeoff hashes a unit, for clients that evaluate by themselves.
// Tested against clients/vectors.json, as the platform and the Python client are.

const SCALE = 2 ** -53;

/**
 * Returns the [gate, variant] buckets in [0, 1) of a unit under `sha256`.
 * @param {string} salt
 * @param {string} unit
 * @returns {Promise<[number, number]>}
 */
export async function bucketsOf(salt, unit) {
  const bytes = new TextEncoder().encode(`${salt}\0${unit}`);
  const digest = new DataView(await crypto.subtle.digest("SHA-256", bytes));
  const word = (/** @type {number} */ at) => Number(digest.getBigUint64(at) >> 11n) * SCALE;
  return [word(0), word(8)];
}

/** @param {string} text */
function fnv1a(text) {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state >>> 0;
}

/**
 * Returns the bucket in [0, 1) that GrowthBook's SDKs compute; null for an unknown version.
 * @param {string} seed
 * @param {string} value
 * @param {number} version
 * @returns {number | null}
 */
export function growthbookBucket(seed, value, version) {
  if (version === 1) return (fnv1a(value + seed) % 1000) / 1000;
  if (version === 2) return (fnv1a(String(fnv1a(seed + value))) % 10000) / 10000;
  return null;
}
