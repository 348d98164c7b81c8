// From action states to joints: the clips of poses.py, interpolated as there, and the points of skeleton.py.

export const JOINT = {
  hip: 0, neck: 1, head: 2, elbow: 3, hand: 4, rear_elbow: 5, rear_hand: 6, knee: 7, foot: 8, rear_knee: 9,
  rear_foot: 10,
};

/** Joint angles of a clip (keys of [frame, angles], period) at an age, degrees. */
function poseAt(clip, age) {
  const { keys, period } = clip;
  const time = period ? age % period : age;
  const after = keys.findIndex(([frame]) => frame > time);
  if (after === 0 || after === -1) return keys.at(after)[1];
  const [[t0, a], [t1, b]] = [keys[after - 1], keys[after]];
  const linear = (time - t0) / (t1 - t0);
  const share = linear * linear * (3 - 2 * linear);
  return a.map((angle, i) => angle + (b[i] - angle) * share);
}

/** Eleven points [x, y] of a body that faces right, game units, the origin between its feet. */
export function skeleton(clip, age, build, planted) {
  const angles = poseAt(clip, age).map((degrees) => (degrees * Math.PI) / 180);
  const [lean, head, arm, elbow, rearArm, rearElbow, leg, knee, rearLeg, rearKnee, spin] = angles;
  const up = ([x, y], length, angle) => [x + length * Math.sin(angle), y + length * Math.cos(angle)];
  const down = ([x, y], length, angle) => [x + length * Math.sin(angle), y - length * Math.cos(angle)];
  const hip = [0, 0];
  const neck = up(hip, build.torso, lean);
  const points = [hip, neck, up(neck, build.neck, lean * 0.6 + head)];
  for (const [shoulder, bend] of [[arm, elbow], [rearArm, rearElbow]]) {
    const joint = down(up(neck, -0.5, lean), build.upper_arm, shoulder);
    points.push(joint, down(joint, build.forearm, shoulder + bend));
  }
  for (const [thigh, bend] of [[leg, knee], [rearLeg, rearKnee]]) {
    const joint = down(hip, build.thigh, thigh);
    points.push(joint, down(joint, build.shin, thigh - bend));
  }
  const cos = Math.cos(spin), sin = Math.sin(spin);
  const turned = points.map(([x, y]) => [x * cos + y * sin, y * cos - x * sin]);
  const lift = planted ? -Math.min(...turned.map(([, y]) => y)) : build.thigh + build.shin;
  return turned.map(([x, y]) => [x, y + lift]);
}
