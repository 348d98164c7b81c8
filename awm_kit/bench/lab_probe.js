// Runs in the page before anything else: notes when the visible game canvas shows which frame,
// what the page receives, and when pad messages leave.
(() => {
  // frames: time of the refresh, frame number, time when the browser had or was about to make that picture.
  const fresh = () => ({ frames: [], sent: [], stepped: [], messages: 0, bytes: 0, since: performance.now() });
  let data = fresh();
  let drawing = 0;
  let shown = 0;

  const context = CanvasRenderingContext2D.prototype;
  const { fillText, drawImage } = context;
  context.fillText = function (text, ...rest) {
    const match = /^frame (\d+)$/.exec(text);
    if (match) drawing = Number(match[1]);
    // Instant mode draws in the refresh that will show it.
    if (match && this.canvas.isConnected && drawing !== shown) {
      shown = drawing;
      data.frames.push([document.timeline.currentTime, shown, performance.now()]);
    }
    return fillText.call(this, text, ...rest);
  };
  // ipycanvas draws off screen and copies to the canvas in the document: that copy is what people see.
  context.drawImage = function (...args) {
    drawImage.apply(this, args);
    if (this.canvas.isConnected && drawing !== shown) {
      shown = drawing;
      const frame = shown;
      requestAnimationFrame((time) => data.frames.push([time, frame, performance.now()]));
    }
  };
  // A message leaves while the key's event is handled: the event's own time is when it was pressed.
  document.addEventListener("awm-pad-sent", ({ detail }) => {
    data.sent.push([window.event?.timeStamp ?? performance.now(), detail.sequence]);
  });
  document.addEventListener("awm-stepped", ({ detail }) => data.stepped.push([detail.sequence, detail.frame]));

  const count = (body) => {
    data.messages += 1;
    data.bytes += body.byteLength ?? body.size ?? body.length;
  };
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data: body }) => {
        count(body);
      });
    }

    send(body) {
      count(body);
      super.send(body);
    }
  };

  window.__probe = {
    reset() { data = fresh(); },
    read() { return { ...data, seconds: (performance.now() - data.since) / 1000 }; },
    frame: () => shown,
    colors() {
      const canvas = [...document.querySelectorAll(".awm-play canvas")].find((c) => c.isConnected && c.width > 600);
      if (!canvas) return 0;
      const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const seen = new Set();
      for (let i = 0; i < pixels.length; i += 52) seen.add((pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2]);
      return seen.size;
    },
  };
})();
