// The page's half of beat.py: tells Python that what it sent before is on the screen, and how early it came.
// A hidden page does not answer.
//
// Requests no frame that need not be. While one is requested, browsers hold everything back that comes after a
// key until that frame is shown (Chromium: DeferRendererTasksAfterInput), and the next picture misses its refresh.

const REFRESHES = 32;
// Jupyter shows the kernel busy with each answer, which is a frame: so late that the next picture wants it too.
const ANSWER_MS = 6;

function render({ model, el }) {
  el.style.display = "none";
  let refresh; // milliseconds between refreshes of the page

  function measure(times) {
    requestAnimationFrame((now) => {
      times.push(now);
      if (times.length <= REFRESHES) return measure(times);
      // Not the mean: a page that is busy lets refreshes pass.
      refresh = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b)[REFRESHES / 4];
    });
  }

  const answer = ({ beat }) => {
    const arrived = performance.now();
    const tell = (shown) => model.send({ beat, slack: shown - arrived, refresh });
    if (beat) requestAnimationFrame((shown) => setTimeout(tell, ANSWER_MS, shown));
    if (refresh === undefined) again();
  };
  const again = () => {
    refresh = 0; // unknown until it has been measured
    measure([]);
  };
  model.on("msg:custom", answer);
  window.addEventListener("focus", again); // perhaps on another screen
  return () => {
    model.off("msg:custom", answer);
    window.removeEventListener("focus", again);
  };
}

export default { render };
