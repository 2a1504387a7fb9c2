// Validates an AsyncAPI document with the parser of the AsyncAPI initiative. Every error and warning fails.

const fs = require("node:fs");
const { Parser } = require("@asyncapi/parser");

const ERROR = 0;
const WARNING = 1;

async function findings(text) {
    const { document, diagnostics } = await new Parser().parse(text);
    const found = diagnostics.filter(({ severity }) => severity === ERROR || severity === WARNING);
    return { document, lines: found.map(({ path, code, message }) => `${path.join("/")}: ${message} (${code})`) };
}

async function main(path) {
    const text = fs.readFileSync(path, "utf8");
    const { document, lines } = await findings(text);
    if (lines.length > 0) throw new Error(`${path} is not valid\n${lines.join("\n")}`);
    const sent = document.operations().filterBySend().flatMap((operation) => operation.messages().all());
    if (sent.length === 0) throw new Error(`${path} has no message that the system sends`);
    // The parser must also find what is wrong, such as a reference that leads nowhere.
    const broken = text.replace("#/channels/events/messages/", "#/channels/event/messages/");
    if ((await findings(broken)).lines.length === 0) throw new Error("the parser accepts a broken document");
    console.log(`${path} is valid, with ${sent.length} messages that the system sends`);
}

main(process.argv[2]).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
});
