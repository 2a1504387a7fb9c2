// Validates and runs the state machine of template.yaml, as SAM translates it, with a stub of the maintain function.
//
// npm install aws-local-stepfunctions@3.0.0; NODE_PATH=node_modules node --test tests/template/state_machine.cjs
const { execFileSync } = require("node:child_process");
const { test } = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { StateMachine } = require("aws-local-stepfunctions");

// A polyfill for Node before 22.
Promise.withResolvers ??= () => {
    const deferred = {};
    deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
    return deferred;
};

const translated = JSON.parse(execFileSync("python3", [path.join(__dirname, "sam.py")], { maxBuffer: 1 << 24 }));
const machine = translated.Resources.Maintenance.Properties;
const definition = machine.DefinitionString["Fn::Join"][1].join("\n");

/** Runs an execution with `step` in place of the function. Resolves to its output, or to the name of its error. */
async function run(input, step) {
    const substituted = definition
        .replaceAll("${Partition}", "aws")
        .replaceAll("${MaintainFunction}", "arn:aws:lambda:eu-west-1:123456789012:function:maintain");
    // Throws if the definition is not valid Amazon States Language.
    const execution = new StateMachine(JSON.parse(substituted)).run(input, {
        overrides: {
            taskResourceLocalHandlers: { Step: async ({ Payload }) => ({ Payload: step(Payload) }) },
            retryIntervalOverrides: { Step: 0 },
        },
    });
    return execution.result.catch((error) => error.name);
}

/** Returns a stub of the function that needs `steps` steps per segment and pushes each input to `inputs`. */
function stub(steps, inputs) {
    return (step) => {
        inputs.push(step);
        const taken = (step.after ?? 0) + 1;
        return taken === steps ? { ...step, after: undefined, done: true } : { ...step, after: taken, done: false };
    };
}

test("the definition refers to resources of the template", () => {
    assert.deepEqual(machine.DefinitionSubstitutions, {
        Partition: { Ref: "AWS::Partition" },
        MaintainFunction: { "Fn::GetAtt": ["MaintainFunction", "Arn"] },
    });
});

for (const task of ["rebuild", "verify"]) {
    test(`a ${task} job processes each segment step by step`, async () => {
        const inputs = [];
        const job = { task, segments: 3 };
        const output = await run(job, stub(4, inputs));
        assert.deepEqual(output.map((segment) => [segment.segment, segment.done]), [[0, true], [1, true], [2, true]]);
        for (const segment of [0, 1, 2]) {
            const steps = inputs.filter((step) => step.segment === segment);
            assert.deepEqual(steps.map((step) => step.after), [undefined, 1, 2, 3]);
            assert.ok(steps.every((step) => step.job.task === task && step.job.segments === 3));
        }
    });
}

test("the messages of the pipe start a sweep of the discarded batches", async () => {
    const inputs = [];
    const discarded = [{ DDBStreamBatchInfo: { shardId: "a" } }, { DDBStreamBatchInfo: { shardId: "b" } }];
    await run(discarded, stub(1, inputs));
    assert.deepEqual(inputs.map((step) => step.segment).sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.ok(inputs.every((step) => step.job.task === "sweep"));
    assert.deepEqual(inputs[0].job.discarded, discarded);
});

test("a failed step is retried from its input", async () => {
    const inputs = [];
    const succeed = stub(2, inputs);
    let failures = 3;
    const output = await run({ task: "rebuild", segments: 1 }, (step) => {
        if (step.after === 1 && failures-- > 0) throw new Error("killed");
        return succeed(step);
    });
    assert.equal(failures, -1);
    assert.equal(output[0].done, true);
    assert.deepEqual(inputs.map((step) => step.after), [undefined, 1]);
});

test("a step that always fails ends the execution with an error", async () => {
    const output = await run({ task: "rebuild", segments: 1 }, () => {
        throw new Error("broken");
    });
    assert.equal(typeof output, "string");
});

test("an invalid input ends the execution before the function is invoked", async () => {
    const invalid = [{}, [], [{}], { task: "drop", segments: 1 }, { task: "rebuild" }, { segments: 4 }];
    for (const segments of [0, 1001, "8", null]) invalid.push({ task: "rebuild", segments });
    for (const input of invalid) {
        const output = await run(input, () => assert.fail("invoked"));
        assert.equal(typeof output, "string", JSON.stringify(input));
    }
});
