// The page's half of keymap_menu.py: a table of buttons; the one that was clicked takes the next key.

function render({ model, el }) {
  const table = document.createElement("table");
  const status = document.createElement("div");
  table.className = "awm-keys";
  table.setAttribute("data-lm-suppress-shortcuts", "true");
  status.className = "awm-keys-status";
  el.append(table, status);
  let waiting = null; // [button, player, action, the button's text]

  function cancel() {
    if (!waiting) return;
    const [item, , , text] = waiting;
    item.classList.remove("awm-waiting");
    item.textContent = text;
    waiting = null;
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
    return button(labels.join("  ") || "–", title, (item) => {
      cancel();
      waiting = [item, player, action, item.textContent];
      item.classList.add("awm-waiting");
      item.textContent = "press a key";
      item.focus();
    });
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
    row("th", ["", "player 1", "player 2"]);
    for (const [action, ...players] of model.get("rows")) {
      row("td", [action.replace("_", " "), ...players.map((labels, player) => keyButton(player, action, labels))]);
    }
  }

  const tell = () => { status.textContent = model.get("status"); };
  // Keys of this table are nobody else's: neither the notebook's shortcuts nor the game may hear them.
  table.addEventListener("keydown", (event) => {
    if (!waiting) return;
    event.preventDefault();
    event.stopPropagation();
    const [, player, action] = waiting;
    cancel();
    if (event.code === "Delete") model.send({ unbind: [player, action] });
    else if (event.code !== "Escape") model.send({ bind: [player, action, event.code] });
    event.target.blur(); // or the key would press the button when it goes up
  });
  table.addEventListener("keyup", (event) => event.stopPropagation());
  table.addEventListener("focusout", cancel);
  model.on("change:rows", draw);
  model.on("change:shown", draw);
  model.on("change:status", tell);
  draw();
  tell();
  return () => {
    model.off("change:rows", draw);
    model.off("change:shown", draw);
    model.off("change:status", tell);
  };
}

export default { render };
