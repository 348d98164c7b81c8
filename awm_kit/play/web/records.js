// Frames and controllers: bytes to numbers in real units and back, by the schema that the page carries.

const READ = {
  i1: (view, at) => view.getInt8(at),
  u1: (view, at) => view.getUint8(at),
  i2: (view, at) => view.getInt16(at, true),
  u2: (view, at) => view.getUint16(at, true),
  i4: (view, at) => view.getInt32(at, true),
  u4: (view, at) => view.getUint32(at, true),
};
const GLOBAL_BYTES = 16, PLAYER_BYTES = 32, CONTROLLER_BYTES = 12;

/** A frame record as an object: its global fields, and players, an array of two. */
export function readFrame(bytes, schema) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const players = [0, 1].map((i) => readFields(view, schema.player, GLOBAL_BYTES + i * PLAYER_BYTES));
  return { ...readFields(view, schema.global, 0), players };
}

function readFields(view, fields, base) {
  const record = {};
  for (const { name, type, offset, one } of fields) record[name] = READ[type](view, base + offset) / one;
  return record;
}

/** Two controllers, as pads.js has them, in the 24 bytes that a step takes. */
export function writeInputs(controllers, sequence) {
  const bytes = new Uint8Array(2 * CONTROLLER_BYTES);
  const view = new DataView(bytes.buffer);
  controllers.forEach((pad, i) => {
    const at = i * CONTROLLER_BYTES;
    [...pad.stick, ...pad.cstick].forEach((value, k) => view.setInt8(at + k, value));
    pad.triggers.forEach((value, k) => view.setUint8(at + 4 + k, value));
    view.setUint16(at + 6, pad.buttons, true);
    view.setUint32(at + 8, sequence, true);
  });
  return bytes;
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
