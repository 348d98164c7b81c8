// How many frames are due at a picture: 60 a second, whatever the screen does.

const STEP_MS = 1000 / 60;
const EARLY_MS = 2; // a screen's 60 Hz is not exactly ours: a picture this early still gets its frame
const MAX_STEPS = 4; // after a pause of the browser the match goes on where it was, not faster

export class Clock {
  constructor() {
    this.debt = 0;
    this.last = undefined;
  }

  /** Frames to compute at the picture of time `now`, `pace` times the usual; while not `running` time does not count. */
  due(now, running, pace = 1) {
    const passed = this.last === undefined || !running ? 0 : (now - this.last) * pace;
    this.last = now;
    this.debt = Math.min(this.debt + passed, MAX_STEPS * STEP_MS);
    const steps = Math.max(Math.floor((this.debt + EARLY_MS) / STEP_MS), 0);
    this.debt -= steps * STEP_MS;
    return steps;
  }
}
