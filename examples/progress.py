"""A page that shows how far a job is: open http://127.0.0.1:8000/ in two windows, and press the button in one.

The job is a task of the app: it goes on when all pages are closed.  It tells of each step by a signal, and knows
nothing of pages.  Each page follows the signals through a WebSocket; one that it has lost it opens again, and is told
first how things stand.
"""

from __future__ import annotations

import math

import trio

from trioframe import App, Request, Response, WebSocket, html, json

STEP = 0.2  # seconds of work for each percent

app = App("progress")
jobs: dict[int, int] = {}  # what is done of each, in percent


@app.post("/jobs")
async def start(request: Request) -> Response:
    number = len(jobs) + 1
    jobs[number] = 0
    app.add_task(work, number)
    return json({"job": number}, status=202)


async def work(number: int) -> None:
    for percent in range(101):
        jobs[number] = percent
        await app.dispatch("job.progress.changed", {"number": number, "percent": percent})
        await trio.sleep(STEP)


@app.websocket("/progress", cancel_on_close=True)  # it is never received from, and so would not learn of a close
async def progress(request: Request, ws: WebSocket) -> None:
    await ws.accept()
    # A full buffer would let the job wait for the slowest page.  This one cannot grow for long: a page that reads
    # nothing answers no pings, and is given up.
    async with app.events("job.*.*", max_buffer=math.inf) as events:
        for number, percent in list(jobs.items()):
            await ws.send(f"{number} {percent}")
        async for event in events:
            await ws.send(f"{event['number']} {event['percent']}")


@app.get("/")
async def index(request: Request) -> Response:
    return html(PAGE)


PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>Progress</title>
<button>Start a job</button> <span id="state"></span>
<div id="jobs"></div>
<script>
  const state = document.querySelector("#state");
  const jobs = document.querySelector("#jobs");

  function show(number, percent) {
    let bar = document.querySelector(`#job${number}`);
    if (bar === null) {
      const label = document.createElement("label");
      bar = document.createElement("progress");
      bar.id = `job${number}`;
      bar.max = 100;
      label.append(`Job ${number} `, bar, document.createElement("br"));
      jobs.append(label);
    }
    bar.value = percent;
  }

  function follow() {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/progress`);
    socket.onopen = () => { state.textContent = "live"; };
    socket.onmessage = (event) => show(...event.data.split(" "));
    socket.onclose = () => {
      state.textContent = "not connected";
      setTimeout(follow, 1000);
    };
  }

  document.querySelector("button").onclick = () => fetch("/jobs", {method: "POST"});
  follow();
</script>
"""

if __name__ == "__main__":
    trio.run(app.serve)
