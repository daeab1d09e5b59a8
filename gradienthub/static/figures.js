// Prices as the hub computes them: integers of a millionth, rounded half up. BigInt, because a
// price times a duration in microseconds is beyond what a Number holds exactly.

const CENT = 10_000n;
const HOUR = 3_600_000n;

/** Millionths for `milliseconds` at `price` millionths an hour (rules/money.py, charge). */
export function charge(price, milliseconds) {
  const span = milliseconds > 0 ? BigInt(Math.round(milliseconds)) : 0n;
  return (BigInt(price) * span * 2n + HOUR) / (HOUR * 2n);
}

/** An amount in whole cents (rules/money.py, format_rounded). */
export function rounded(micros, prefix, suffix) {
  const cents = (micros + CENT / 2n) / CENT;
  if (micros > 0n && cents === 0n) return `<${prefix}0.01${suffix}`;
  const whole = (cents / 100n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return `${prefix}${whole}.${(cents % 100n).toString().padStart(2, "0")}${suffix}`;
}

/** A duration's two largest units (rules/duration.py, format_duration). */
export function duration(seconds) {
  const parts = [];
  let rest = Math.round(seconds);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}
