// The page's half of keymap_menu.py: a table of buttons; the one that was clicked takes the next key, or a
// gamepad's next button.

// Buttons that are down now, on any gamepad.
function pressed() {
  const pads = [...(navigator.getGamepads?.() ?? [])].filter(Boolean);
  return pads.flatMap((pad) => pad.buttons.flatMap((button, index) => (button.pressed ? [index] : [])));
}

function render({ model, el }) {
  const table = document.createElement("table");
  const status = document.createElement("div");
  table.className = "awm-keys";
  table.setAttribute("data-lm-suppress-shortcuts", "true");
  status.className = "awm-keys-status";
  const zone = document.createElement("label");
  zone.className = "awm-keys-zone";
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, step: 0.05 });
  const share = document.createElement("span");
  zone.append("sticks' dead zone", slider, share);
  el.append(table, zone, status);
  // What was clicked: its button, text and action, whose it is (undefined: a gamepad's), and the look-out for it.
  let waiting = null;

  function cancel() {
    if (!waiting) return;
    const { item, text, poll } = waiting;
    cancelAnimationFrame(poll);
    item.classList.remove("awm-waiting");
    item.textContent = text;
    waiting = null;
  }

  function wait(item, action, player, prompt) {
    cancel();
    waiting = { item, action, player, text: item.textContent };
    item.classList.add("awm-waiting");
    item.textContent = prompt;
    item.focus();
  }

  function button(text, title, pressed) {
    const item = document.createElement("button");
    item.textContent = text;
    item.title = title;
    item.addEventListener("click", () => pressed(item));
    return item;
  }

  function keyButton(player, action, labels) {
    const title = "click, then press the key; Delete takes all keys away, Escape leaves them";
    return button(labels.join("  ") || "–", title, (item) => wait(item, action, player, "press a key"));
  }

  // Browsers show a gamepad only after one of its buttons was pressed, and tell of no press: one has to look.
  function padButton(action, labels) {
    const title = "click, then press the gamepad's button; Delete takes all buttons away, Escape leaves them";
    return button(labels.join("  ") || "–", title, (item) => {
      wait(item, action, undefined, "press a button");
      const held = new Set(pressed());
      const look = () => {
        for (const index of held) if (!pressed().includes(index)) held.delete(index);
        const found = pressed().find((index) => !held.has(index));
        if (found === undefined) waiting.poll = requestAnimationFrame(look);
        else finish({ press: [action, found] });
      };
      look();
    });
  }

  function finish(message) {
    const { item } = waiting;
    cancel();
    if (message) model.send(message);
    item.blur(); // or the key would press the button when it goes up
  }

  function row(tag, cells) {
    const line = table.insertRow();
    for (const cell of cells) {
      const box = document.createElement(tag);
      box.append(cell);
      line.append(box);
    }
  }

  function draw() {
    cancel();
    table.replaceChildren();
    const choices = model.get("names").map((name) => {
      const item = button(name, "use this map", () => model.send({ show: name }));
      item.style.fontWeight = name === model.get("shown") ? "bold" : "normal";
      return item;
    });
    row("th", [choices[0], ...choices.slice(1), button("reset", "the built-in keys", () => model.send({ reset: 1 }))]);
    row("th", ["", "player 1", "player 2", "gamepads"]);
    for (const [action, one, two, buttons] of model.get("rows")) {
      const keys = [one, two].map((labels, player) => keyButton(player, action, labels));
      row("td", [action.replace("_", " "), ...keys, padButton(action, buttons)]);
    }
    slider.max = model.get("max_dead_zone");
    slider.value = model.get("dead_zone");
    share.textContent = `${Math.round(100 * model.get("dead_zone"))} %`;
  }

  const tell = () => { status.textContent = model.get("status"); };
  // Keys of this table are nobody else's: neither the notebook's shortcuts nor the game may hear them.
  table.addEventListener("keydown", (event) => {
    if (!waiting) return;
    event.preventDefault();
    event.stopPropagation();
    const { player, action } = waiting;
    if (event.code === "Escape") finish();
    else if (event.code === "Delete") finish(player === undefined ? { release: action } : { unbind: [player, action] });
    else if (player !== undefined) finish({ bind: [player, action, event.code] });
  });
  slider.addEventListener("change", () => model.send({ dead_zone: Number(slider.value) }));
  table.addEventListener("keyup", (event) => event.stopPropagation());
  table.addEventListener("focusout", cancel);
  model.on("change:rows", draw);
  model.on("change:shown", draw);
  model.on("change:dead_zone", draw);
  model.on("change:status", tell);
  draw();
  tell();
  return () => {
    model.off("change:rows", draw);
    cancel();
    model.off("change:shown", draw);
    model.off("change:dead_zone", draw);
    model.off("change:status", tell);
  };
}

export default { render };
