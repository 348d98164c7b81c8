// Shapes and colours that all pictures are made of. Colours are [r, g, b].

export const css = ([r, g, b], alpha = 1) => `rgb(${r | 0} ${g | 0} ${b | 0} / ${alpha})`;
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export function mix(a, b, share) {
  const t = clamp(share, 0, 1);
  return a.map((value, i) => value + (b[i] - value) * t);
}

/** White at no damage, then through the stops to dark red from 150 percent on. */
export function heat(percent, stops) {
  const position = (clamp(percent, 0, 150) / 150) * (stops.length - 1);
  const index = Math.min(Math.floor(position), stops.length - 2);
  return mix(stops[index], stops[index + 1], position - index);
}

export function polygon(ctx, points, fill) {
  ctx.fillStyle = fill;
  ctx.beginPath();
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.fill();
}

export function disc(ctx, [x, y], radius, fill, height = radius) {
  ctx.fillStyle = fill;
  ctx.beginPath();
  ctx.ellipse(x, y, Math.max(radius, 0), Math.max(height, 0), 0, 0, 2 * Math.PI);
  ctx.fill();
}

export function ring(ctx, [x, y], radius, width, stroke) {
  ctx.strokeStyle = stroke;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.arc(x, y, Math.max(radius - width / 2, 0), 0, 2 * Math.PI);
  ctx.stroke();
}

/** A limb: a disc around each end, and what lies between. */
export function capsule(ctx, a, b, radiusA, radiusB, fill) {
  const angle = Math.atan2(b[1] - a[1], b[0] - a[0]), quarter = Math.PI / 2;
  ctx.fillStyle = fill;
  ctx.beginPath();
  ctx.arc(b[0], b[1], radiusB, angle - quarter, angle + quarter);
  ctx.arc(a[0], a[1], radiusA, angle + quarter, angle + 3 * quarter);
  ctx.fill();
}

/** A line of text with a dark rim, its baseline at y. */
export function write(ctx, text, x, y, size, fill, align = "left", rim = "rgb(18 20 34)") {
  ctx.font = `700 ${size}px system-ui, "Segoe UI", "DejaVu Sans", sans-serif`;
  ctx.textAlign = align;
  if (rim) {
    ctx.strokeStyle = rim;
    ctx.lineWidth = Math.max(size * 0.16, 2);
    ctx.lineJoin = "round";
    ctx.strokeText(text, x, y);
  }
  ctx.fillStyle = fill;
  ctx.fillText(text, x, y);
}
