// Puts new lines on top of the list of what happened, as the server sends them. Without this script the list is as it was loaded.
"use strict";

const list = document.getElementById("feed");
const LINES_MAX = 12;

function line({ id, at, case: about, kind, text }) {
  const item = document.createElement("li");
  const when = document.createElement("span");
  const link = document.createElement("a");
  const what = document.createElement("strong");
  const said = document.createElement("span");
  when.className = "muted nowrap";
  when.textContent = at;
  link.href = "/dashboard/cases/" + encodeURIComponent(about);
  what.textContent = kind;
  link.append(what);
  said.lang = "en";
  said.textContent = text;
  item.className = "new";
  item.id = id;
  item.append(when, " ", link, " ", said);
  return item;
}

if (list && "EventSource" in window) {
  const feed = new EventSource("/dashboard/feed");
  feed.onmessage = (event) => {
    const told = JSON.parse(event.data);
    if (document.getElementById(told.id)) return;
    list.prepend(line(told));
    while (list.children.length > LINES_MAX) list.lastElementChild.remove();
    list.hidden = false;
    const empty = document.getElementById("feed-empty");
    if (empty) empty.remove();
  };
  addEventListener("pagehide", () => feed.close());
}
