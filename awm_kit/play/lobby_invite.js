// The page's half of lobby_invite.py: shows an invitation, copies it, and says where it is shown.

// JupyterLab rewrites the address, but the browser remembers by which one the page was opened.
function arrived() {
  const opened = performance.getEntriesByType("navigation")[0]?.name ?? "";
  return /[#&]awm=([^&]+)/.exec(window.location.hash || opened)?.[1] ?? "";
}

// Without the query, which may hold Jupyter's token, and without the name of this browser's workspace.
// A view inside an editor has no address that others could open.
function page() {
  const { origin, pathname, protocol } = window.location;
  return protocol.startsWith("http") ? origin + pathname.replace(/\/workspaces\/[^/]+/, "") : "";
}

function row(title, text) {
  const box = document.createElement("div");
  const label = document.createElement("label");
  label.textContent = title;
  const line = document.createElement("div");
  line.className = "awm-invite-row";
  const code = document.createElement("code");
  code.textContent = text;
  const copy = document.createElement("button");
  copy.textContent = "Copy";
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      // Pages that are neither on HTTPS nor on localhost have no clipboard: select it for Ctrl+C.
      getSelection().selectAllChildren(code);
    }
  };
  line.append(copy, code);
  box.append(label, line);
  return box;
}

function render({ model, el }) {
  const card = document.createElement("div");
  card.className = "awm-invite";
  el.append(card);

  function draw() {
    card.replaceChildren();
    if (!model.get("identity")) return;
    const picture = document.createElement("div");
    picture.className = "awm-invite-qr";
    picture.innerHTML = model.get("qr");
    const text = document.createElement("div");
    text.className = "awm-invite-text";
    const note = document.createElement("div");
    note.className = "awm-invite-note";
    note.textContent = model.get("note");
    text.append(row("match ID", model.get("identity")), row("link", model.get("link")), note);
    card.append(picture, text);
  }

  const names = ["identity", "link", "qr", "note"];
  names.forEach((name) => model.on(`change:${name}`, draw));
  draw();
  model.set("page", page());
  if (arrived()) model.set("arrived", decodeURIComponent(arrived()));
  model.save_changes();
  return () => names.forEach((name) => model.off(`change:${name}`, draw));
}

export default { render };
