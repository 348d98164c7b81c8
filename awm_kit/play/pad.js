// The page's half of pad.py: keys and gamepads in, 16-byte messages out, and an event for whoever draws here.
//
// Message, little endian: client u32, sequence u16, player u8, zero u8, actions u16,
// stick x y i8, C-stick x y i8, triggers l r u8. Sent when something changes, and a few times a
// second while something is held, so that Python can let go for a page that died.

const HELD_MS = 400, POLL_MS = 8;
const STICK = 80, TRIGGER = 140, GRAIN = 4;

function axis(value, deadZone) {
  if (Math.abs(value) < deadZone) return 0;
  return Math.max(-STICK, Math.min(STICK, Math.round((value * STICK) / GRAIN) * GRAIN));
}

function readGamepad(pad, buttonActions, deadZone) {
  let actions = 0;
  pad.buttons.forEach((button, i) => { if (button.pressed) actions |= buttonActions[i] ?? 0; });
  const [x = 0, y = 0, cx = 0, cy = 0] = pad.axes;
  const axes = [x, -y, cx, -cy].map((value) => axis(value, deadZone));
  const free = (i) => (i in buttonActions ? 0 : (pad.buttons[i]?.value ?? 0)); // a trigger that is bound is a button
  const triggers = [6, 7].map((i) => Math.round((free(i) * TRIGGER) / GRAIN) * GRAIN);
  return { actions, axes, triggers };
}

// Browsers hide the Gamepad API from pages that are neither on HTTPS nor on localhost.
const gamepads = () => [...(navigator.getGamepads?.() ?? [])].filter(Boolean);

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "awm-pad";
  box.tabIndex = 0;
  box.setAttribute("data-lm-suppress-shortcuts", "true");
  box.setAttribute("role", "application");
  box.setAttribute("aria-label", "game controller");
  el.appendChild(box);

  const client = crypto.getRandomValues(new Uint32Array(1))[0];
  const down = new Set();
  const idle = JSON.stringify({ actions: 0, axes: [0, 0, 0, 0], triggers: [0, 0] });
  const sent = [idle, idle];
  let sequence = 0;
  let focused = false;

  function state(player) {
    let actions = 0;
    for (const code of down) {
      const [owner, bits] = model.get("bindings")[code];
      if (owner === player) actions |= bits;
    }
    const result = { actions, axes: [0, 0, 0, 0], triggers: [0, 0] };
    if (!document.hasFocus()) return result;
    const index = model.get("gamepad_players").indexOf(player);
    const pad = index < 0 ? null : gamepads()[index];
    if (pad) {
      const read = readGamepad(pad, model.get("gamepad_buttons"), model.get("dead_zone"));
      return { ...read, actions: actions | read.actions };
    }
    return result;
  }

  function send(player, { actions, axes, triggers }) {
    const bytes = new DataView(new ArrayBuffer(16));
    sequence = (sequence + 1) & 0xffff;
    bytes.setUint32(0, client, true);
    bytes.setUint16(4, sequence, true);
    bytes.setUint8(6, player);
    bytes.setUint16(8, actions, true);
    axes.forEach((value, i) => bytes.setInt8(10 + i, value));
    triggers.forEach((value, i) => bytes.setUint8(14 + i, value));
    model.send({ pad: 1 }, undefined, [bytes]);
    const detail = { sequence, player, actions, axes, triggers };
    box.dispatchEvent(new CustomEvent("awm-pad-sent", { bubbles: true, detail }));
  }

  function update() {
    for (const player of [0, 1]) {
      const now = state(player);
      const text = JSON.stringify(now);
      if (text === sent[player]) continue;
      sent[player] = text;
      send(player, now);
    }
  }

  function repeat() {
    for (const player of [0, 1]) if (sent[player] !== idle) send(player, state(player));
  }

  function letGo() {
    down.clear();
    update();
  }

  function label() {
    const lines = model.get("legend");
    box.textContent = focused ? lines.join("   |   ") : "click the game to play   |   " + lines.join("   |   ");
    box.classList.toggle("awm-focused", focused);
  }

  const events = new AbortController();
  const on = (target, name, handler) => target.addEventListener(name, handler, { signal: events.signal });

  on(box, "keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !(event.code in model.get("bindings"))) return;
    // Every key: one that no player uses must not reach the notebook's shortcuts either.
    event.stopPropagation();
    if (event.code === "Tab") return;
    event.preventDefault();
    if (event.repeat || !(event.code in model.get("bindings"))) return;
    down.add(event.code);
    update();
  });
  on(box, "keyup", (event) => {
    event.stopPropagation();
    event.preventDefault();
    if (down.delete(event.code)) update();
  });
  on(box, "focus", () => { focused = true; label(); });
  on(box, "blur", () => { focused = false; label(); letGo(); });
  on(window, "blur", letGo);
  on(window, "pagehide", letGo);
  on(document, "visibilitychange", () => { if (document.hidden) letGo(); });
  on(document, "click", (event) => {
    const game = event.target instanceof Element && event.target.closest(".awm-play");
    if (event.target === box || (game && game.contains(box) && event.target.tagName === "CANVAS")) {
      box.focus({ preventScroll: true });
      model.send({ click: 1 });
    }
  });

  model.on("change:legend", label);
  model.on("change:bindings", letGo);

  // By a timer, not in each frame of the page: see beat.js.
  let poll = 0;
  function watchGamepads() {
    clearInterval(poll);
    poll = gamepads().length ? setInterval(update, POLL_MS) : 0;
  }
  on(window, "gamepadconnected", watchGamepads);
  on(window, "gamepaddisconnected", watchGamepads);
  watchGamepads();
  const beat = setInterval(repeat, HELD_MS);
  label();

  return () => {
    letGo();
    events.abort();
    clearInterval(poll);
    clearInterval(beat);
    model.off("change:legend", label);
    model.off("change:bindings", letGo);
  };
}

export default { render };
