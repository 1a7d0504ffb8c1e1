// An application's back end: a real HTTP server that is asked, answers as the test says, and remembers the questions.

import http from "node:http";

export class Backend {
  static async start() {
    const backend = new Backend();
    backend.asked = [];
    /** Answer by path: a value, or a function of the question that may take its time. */
    backend.answers = {};
    backend.server = http.createServer((request, response) => backend.#serve(request, response));
    await new Promise((resolve) => backend.server.listen(0, "127.0.0.1", resolve));
    backend.url = `http://127.0.0.1:${backend.server.address().port}`;
    return backend;
  }

  async #serve(request, response) {
    let text = "";
    for await (const piece of request.setEncoding("utf8")) text += piece;
    const path = request.url.slice(1);
    const question = JSON.parse(text);
    this.asked.push({ path, question, headers: request.headers });
    const given = this.answers[path];
    const answer = typeof given === "function" ? await given(question) : given;
    if (answer === undefined) {
      response.writeHead(404).end();
    } else if (answer.status) {
      response.writeHead(answer.status).end(answer.text ?? "");
    } else {
      response.setHeader("Content-Type", "application/json");
      response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
    }
  }

  /** Questions to this path, oldest first. */
  questions(path) { return this.asked.filter((entry) => entry.path === path).map((entry) => entry.question); }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
