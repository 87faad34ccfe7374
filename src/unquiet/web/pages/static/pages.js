"use strict";
// Moments in the reader's zone, UTC at hand: in the title of each, and for all of them by the button above.
(() => {
  const KEY = "unquiet-zone";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const form = new Intl.DateTimeFormat(undefined, {
    weekday: "short", day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
  });
  const times = [...document.querySelectorAll("time[datetime]")];
  for (const each of times) each.dataset.utc = each.textContent;
  // Labels in pictures say `10 Mar 14:09`, or the day alone where there is no room.
  const SAID = /\d\d [A-Z][a-z]{2}( \d\d:\d\d)?(?!.*\d\d [A-Z][a-z]{2})/;
  const parts = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const short = (at, clock) => {
    const found = Object.fromEntries(parts.formatToParts(at).map((part) => [part.type, part.value]));
    return `${found.day} ${found.month.slice(0, 3)}${clock ? ` ${found.hour}:${found.minute}` : ""}`;
  };
  const labels = [...document.querySelectorAll("text[data-at]")];
  for (const each of labels) each.dataset.utc = each.textContent;
  const button = document.getElementById("zone-switch");
  const name = document.getElementById("zone-name");
  const read = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (value) => { try { localStorage.setItem(KEY, value); } catch { /* a browser that keeps nothing shows its own zone again */ } };
  const show = (utc) => {
    for (const each of times) {
      const at = new Date(each.dateTime);
      const own = Number.isNaN(at.getTime()) ? each.dataset.utc : form.format(at);
      each.textContent = utc ? each.dataset.utc : own;
      each.title = utc ? own : each.dataset.utc;
    }
    for (const each of labels) {
      const at = new Date(each.dataset.at);
      each.textContent = utc || Number.isNaN(at.getTime()) ? each.dataset.utc : each.dataset.utc.replace(SAID, (said, clock) => short(at, clock));
    }
    if (name) name.textContent = utc ? "times in UTC" : `times in ${zone}`;
    if (button) button.textContent = utc ? "show your zone" : "show UTC";
  };
  if (zone === "UTC" || zone === "Etc/UTC") return;
  let utc = read() === "utc";
  show(utc);
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => { utc = !utc; keep(utc ? "utc" : "own"); show(utc); });
  }
})();
