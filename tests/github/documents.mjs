// Every document in GraphQL is one that GitHub would take, by the schema that it publishes.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const packages = join(process.argv[2], "node_modules");
const { buildSchema, parse, validate } = createRequire(join(packages, "x"))("graphql");
// The schema says two fields twice, so it is not looked at by itself.
const schema = buildSchema(readFileSync(join(packages, "@octokit/graphql-schema/schema.graphql"), "utf8"), { assumeValidSDL: true });
const faults = (text) => validate(schema, parse(text)).map((fault) => fault.message);

const place = "src/host/github";
const names = readdirSync(place).filter((name) => name.endsWith(".graphql"));
const wrong = names.flatMap((name) => faults(readFileSync(join(place, name), "utf8")).map((fault) => `${name}: ${fault}`));
for (const line of wrong) console.error(line);
if (faults("query { viewer { loginn } }").length === 0) wrong.push("a field that is not there was not found");
console.log(`${names.length} documents, ${wrong.length} faults`);
process.exit(names.length > 0 && wrong.length === 0 ? 0 : 1);
