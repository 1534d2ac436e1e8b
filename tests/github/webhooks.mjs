// Every event that GitHub publishes an example of is read, whole and with each of its parts missing: the program says what it does for it, or what is
// wrong, and never falls over. No server answers here, and no token is there: nothing is told and nothing applied that needs one.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const EVENTS = [
  "issue_comment", "merge_group", "pull_request", "pull_request_review", "push", "workflow_dispatch", "workflow_run",
];
const SECONDS_MAX = 10;
// Payloads of an event that are also played with parts missing: examples differ in few parts.
const CUT_MAX = 3;
const AT_ONCE = 4;

const [packages, program] = process.argv.slice(2);
const examples = JSON.parse(readFileSync(join(packages, "node_modules/@octokit/webhooks-examples/api.github.com/index.json"), "utf8"));
const room = mkdtempSync(join(tmpdir(), "isobar-webhooks-"));
process.on("exit", () => rmSync(room, { recursive: true, force: true }));

const fleet = join(room, "fleet");
cpSync(resolve("fixtures/fleets/hello"), fleet, { recursive: true });
mkdirSync(join(room, "home"));
const git = (...words) => execFileSync("git", ["-c", "user.name=ada", "-c", "user.email=ada@isobar.example", ...words], { cwd: fleet, stdio: "pipe" });
git("init", "--quiet", "--initial-branch", "main");
git("add", "--all");
git("commit", "--quiet", "--message", "Begin");

// The payload, and the payload without each of its parts and of the parts of those.
function* cut(payload) {
  for (const key of Object.keys(payload)) {
    const { [key]: part, ...rest } = payload;
    yield rest;
    if (part === null || typeof part !== "object" || Array.isArray(part)) continue;
    for (const inner of Object.keys(part)) {
      const { [inner]: _, ...others } = part;
      yield { ...payload, [key]: others };
    }
  }
}

let number = 0;
const play = (event, payload) => new Promise((done) => {
  const path = join(room, `event-${number++}.json`);
  writeFileSync(path, JSON.stringify(payload));
  const env = {
    PATH: process.env.PATH, HOME: join(room, "home"), GITHUB_ACTIONS: "true", CI: "true", GITHUB_EVENT_NAME: event, GITHUB_EVENT_PATH: path,
    GITHUB_REPOSITORY: "acme/fleet", GITHUB_API_URL: "http://127.0.0.1:9", GITHUB_GRAPHQL_URL: "http://127.0.0.1:9/graphql",
  };
  const child = spawn(program, ["action"], { cwd: fleet, env, stdio: ["ignore", "ignore", "pipe"], timeout: SECONDS_MAX * 1000 });
  let said = "";
  child.stderr.on("data", (part) => (said += part));
  child.on("close", (code, signal) => {
    rmSync(path);
    const falls = code === null || code === 101 || said.includes("panicked");
    const unread = said.includes("reading the event");
    done({ code: signal ?? code, fault: falls || unread ? `${event}: ${signal ?? code}: ${said.slice(0, 500)}` : null });
  });
});

let faults = 0;
for (const event of EVENTS) {
  const whole = examples.find((one) => one.name === event)?.examples ?? [];
  const queue = [...whole, ...whole.slice(0, CUT_MAX).flatMap((payload) => [...cut(payload)])];
  const codes = {};
  const total = queue.length;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let payload = queue.pop(); payload !== undefined; payload = queue.pop()) {
      const { code, fault } = await play(event, payload);
      codes[code] = (codes[code] ?? 0) + 1;
      if (fault !== null) {
        faults += 1;
        console.error(fault);
      }
    }
  }));
  if (whole.length === 0) {
    faults += 1;
    console.error(`${event}: GitHub publishes no example any more`);
  }
  const ended = Object.entries(codes).map(([code, times]) => `${times} ended with ${code}`).join(", ");
  console.log(`${event}: ${whole.length} examples, ${total} payloads: ${ended}`);
}
process.exit(faults === 0 ? 0 : 1);
