// The state machine of template.yaml, as SAM translates it: validated, and run, with a function that is played.
//
// npm install aws-local-stepfunctions@3.0.0; NODE_PATH=node_modules node --test tests/template/state_machine.cjs
const { execFileSync } = require("node:child_process");
const { test } = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { StateMachine } = require("aws-local-stepfunctions");

// Node has it since 22.
Promise.withResolvers ??= () => {
    const it = {};
    it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
    return it;
};

const translated = JSON.parse(execFileSync("python3", [path.join(__dirname, "sam.py")], { maxBuffer: 1 << 24 }));
const machine = translated.Resources.Maintenance.Properties;
const definition = machine.DefinitionString["Fn::Join"][1].join("\n");

/** Runs a job. `step` plays the function. Resolves to the answer, or to the name of the error. */
async function run(input, step) {
    const filled = definition
        .replaceAll("${Partition}", "aws")
        .replaceAll("${MaintainFunction}", "arn:aws:lambda:eu-west-1:123456789012:function:maintain");
    // Refuses a definition that is not of the Amazon States Language.
    const execution = new StateMachine(JSON.parse(filled)).run(input, {
        overrides: {
            taskResourceLocalHandlers: { Step: async ({ Payload }) => ({ Payload: step(Payload) }) },
            retryIntervalOverrides: { Step: 0 },
        },
    });
    return execution.result.catch((error) => error.name);
}

/** A function that needs so many steps for a segment, and takes down what it is asked for. */
function played(steps, asked) {
    return (step) => {
        asked.push(step);
        const taken = (step.after ?? 0) + 1;
        return taken === steps ? { ...step, after: undefined, done: true } : { ...step, after: taken, done: false };
    };
}

test("its references are to what the template has", () => {
    const known = { Partition: { Ref: "AWS::Partition" }, MaintainFunction: { "Fn::GetAtt": ["MaintainFunction", "Arn"] } };
    assert.deepEqual(machine.DefinitionSubstitutions, known);
});

for (const task of ["rebuild", "verify"]) {
    test(`it goes through each segment step by step: ${task}`, async () => {
        const asked = [];
        const job = { task, segments: 3 };
        const answer = await run(job, played(4, asked));
        assert.deepEqual(answer.map((segment) => [segment.segment, segment.done]), [[0, true], [1, true], [2, true]]);
        for (const segment of [0, 1, 2]) {
            const steps = asked.filter((step) => step.segment === segment);
            assert.deepEqual(steps.map((step) => step.after), [undefined, 1, 2, 3]);
            assert.ok(steps.every((step) => step.job.task === task && step.job.segments === 3));
        }
    });
}

test("it sweeps up what a pipe hands over", async () => {
    const asked = [];
    const givenUp = [{ DDBStreamBatchInfo: { shardId: "a" } }, { DDBStreamBatchInfo: { shardId: "b" } }];
    await run(givenUp, played(1, asked));
    assert.deepEqual(asked.map((step) => step.segment).sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.ok(asked.every((step) => step.job.task === "sweep"));
    assert.deepEqual(asked[0].job.given_up, givenUp);
});

test("a step that fails is begun again where it began", async () => {
    const asked = [];
    const play = played(2, asked);
    let failures = 3;
    const answer = await run({ task: "rebuild", segments: 1 }, (step) => {
        if (step.after === 1 && failures-- > 0) throw new Error("killed");
        return play(step);
    });
    assert.equal(failures, -1);
    assert.equal(answer[0].done, true);
    assert.deepEqual(asked.map((step) => step.after), [undefined, 1]);
});

test("a step that always fails ends the job, which says so", async () => {
    const answer = await run({ task: "rebuild", segments: 1 }, () => {
        throw new Error("broken");
    });
    assert.equal(typeof answer, "string");
});

test("what it does not understand fails at once", async () => {
    const misunderstood = [{}, [], [{}], { task: "drop", segments: 1 }, { task: "rebuild" }, { segments: 4 }];
    for (const segments of [0, 1001, "8", null]) misunderstood.push({ task: "rebuild", segments });
    for (const input of misunderstood) {
        const answer = await run(input, () => assert.fail("invoked"));
        assert.equal(typeof answer, "string", JSON.stringify(input));
    }
});
