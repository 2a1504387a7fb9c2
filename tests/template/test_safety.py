"""Settings that protect data, limit cost and keep logs: tables, stream, maintenance, functions, logs, parameters."""

import json
import unittest

import sam

TABLES = set(sam.resources("AWS::DynamoDB::Table"))
FUNCTIONS = set(sam.resources("AWS::Lambda::Function"))


class Tables(unittest.TestCase):
    def test_tables_outlive_the_stack(self):
        self.assertIn("EventsTable", TABLES)
        for name in TABLES:
            table = sam.translated()["Resources"][name]
            policies = (table.get("DeletionPolicy"), table.get("UpdateReplacePolicy"))
            self.assertEqual(policies, ("Retain", "Retain"), name)
            self.assertIs(table["Properties"].get("DeletionProtectionEnabled"), True, name)

    def test_only_the_events_table_is_backed_up_because_read_tables_are_rebuilt(self):
        tables = sam.resources("AWS::DynamoDB::Table").items()
        recovery = {name: table.get("PointInTimeRecoverySpecification") for name, table in tables}
        self.assertEqual(recovery.pop("EventsTable"), {"PointInTimeRecoveryEnabled": True})
        self.assertEqual(set(recovery.values()), {None})

    def test_tables_are_encrypted_with_a_key_in_kms(self):
        for name, table in sam.resources("AWS::DynamoDB::Table").items():
            self.assertEqual(table["SSESpecification"], {"SSEEnabled": True}, name)

    def test_no_item_of_a_table_expires(self):
        for name, table in sam.resources("AWS::DynamoDB::Table").items():
            self.assertNotIn("TimeToLiveSpecification", table, name)


class Stream(unittest.TestCase):
    def test_the_event_source_mapping_has_exactly_the_expected_settings(self):
        mappings = sam.resources("AWS::Lambda::EventSourceMapping").values()
        mappings = [m for m in mappings if m["EventSourceArn"] == {"Fn::GetAtt": ["EventsTable", "StreamArn"]}]
        # AWS allows two readers of a stream.
        readers = [mapping["FunctionName"]["Ref"] for mapping in mappings]
        self.assertCountEqual(readers, ["ProjectorFunction", "PublisherFunction"])
        expected = {
            "EventSourceArn": {"Fn::GetAtt": ["EventsTable", "StreamArn"]},
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "MaximumBatchingWindowInSeconds": 0,
            "ParallelizationFactor": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 1000,
            "MaximumRecordAgeInSeconds": 23 * 60 * 60,
            "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["FailedBatches", "Arn"]}}},
        }
        for mapping in mappings:
            settings = {key: value for key, value in mapping.items() if key not in ("FunctionName", "Tags")}
            self.assertEqual(settings, expected)

    def test_only_the_events_table_has_a_stream_so_the_projector_does_not_invoke_itself(self):
        streams = {n: t.get("StreamSpecification") for n, t in sam.resources("AWS::DynamoDB::Table").items()}
        self.assertEqual(streams.pop("EventsTable"), {"StreamViewType": "NEW_IMAGE"})
        self.assertEqual(set(streams.values()), {None})

    def test_discarded_batches_are_kept_for_two_weeks_and_encrypted(self):
        queue = sam.resources("AWS::SQS::Queue")["FailedBatches"]
        self.assertEqual((queue["MessageRetentionPeriod"], queue["SqsManagedSseEnabled"]), (14 * 24 * 60 * 60, True))


class Messages(unittest.TestCase):
    def setUp(self):
        self.queues = sam.resources("AWS::SQS::Queue")

    def test_the_queue_of_commands_has_exactly_the_expected_mapping(self):
        mapping = sam.resources("AWS::Lambda::EventSourceMapping")["CommandQueueFunctionCommands"]
        expected = {
            "EventSourceArn": {"Fn::GetAtt": ["CommandQueue", "Arn"]},
            "FunctionName": {"Ref": "CommandQueueFunction"},
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 10},
        }
        self.assertEqual({key: value for key, value in mapping.items() if key != "Tags"}, expected)

    def test_a_message_is_invisible_for_at_least_six_timeouts_of_its_function(self):
        timeout = sam.resources("AWS::Lambda::Function")["CommandQueueFunction"]["Timeout"]
        self.assertGreaterEqual(self.queues["CommandQueue"]["VisibilityTimeout"], 6 * timeout)

    def test_a_command_that_fails_for_most_of_an_hour_becomes_a_dead_letter_that_is_kept_for_two_weeks(self):
        queue = self.queues["CommandQueue"]
        self.assertEqual(sam.text(queue["RedrivePolicy"]["deadLetterTargetArn"]), "CommandDeadLetters.Arn")
        self.assertEqual(queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"], 50 * 60)
        self.assertEqual(self.queues["CommandDeadLetters"]["MessageRetentionPeriod"], 14 * 24 * 60 * 60)
        variables = sam.resources("AWS::Lambda::Function")["CommandQueueFunction"]["Environment"]["Variables"]
        self.assertEqual(sam.text(variables["COMMAND_DEAD_LETTERS"]), "CommandDeadLetters")

    def test_all_queues_are_encrypted(self):
        for name, queue in self.queues.items():
            self.assertIs(queue.get("SqsManagedSseEnabled"), True, name)

    def test_only_the_rules_of_the_stack_may_send_to_its_queues(self):
        found = {}
        for policy in sam.resources("AWS::SQS::QueuePolicy").values():
            [queue] = map(sam.text, policy["Queues"])
            [statement] = policy["PolicyDocument"]["Statement"]
            granted = (statement["Action"], sam.text(statement["Resource"]))
            self.assertEqual(granted, ("sqs:SendMessage", f"{queue}.Arn"))
            self.assertEqual(statement["Principal"], {"Service": "events.amazonaws.com"})
            found[queue] = sam.text(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        rules = {
            "CommandQueue": "CarrierDelivered.Arn",
            "CommandDeadLetters": "CarrierDelivered.Arn",
            "ProcessSignals": "ProcessTriggers.Arn",
            "ProcessDeadLetters": "ProcessTriggers.Arn",
        }
        self.assertEqual(found, rules)

    def test_the_delivery_of_a_carrier_becomes_a_command(self):
        rule = sam.resources("AWS::Events::Rule")["CarrierDelivered"]
        self.assertEqual(sam.text(rule["EventBusName"]), "EventBus")
        [target] = rule["Targets"]
        self.assertEqual(sam.text(target["Arn"]), "CommandQueue.Arn")
        self.assertEqual(sam.text(target["DeadLetterConfig"]["Arn"]), "CommandDeadLetters.Arn")
        detail = {"order_id": "88589b3d-6343-8e0f-8d74-91c92bb1b492", "delivery_id": "JD0123456789-1"}
        # The pattern requires every field that the template of the input uses.
        self.assertEqual(rule["EventPattern"]["detail"], {name: [{"exists": True}] for name in detail})
        paths = target["InputTransformer"]["InputPathsMap"]
        self.assertEqual(paths, {name: f"$.detail.{name}" for name in detail})
        body = target["InputTransformer"]["InputTemplate"]
        for name, value in detail.items():
            body = body.replace(f"<{name}>", value)
        expected = {"type": "deliver-order", "order_id": detail["order_id"], "data": {}}
        self.assertEqual(json.loads(body), expected | {"idempotency_key": "carrier/JD0123456789-1"})


class Maintenance(unittest.TestCase):
    def test_a_pipe_starts_a_sweep_for_discarded_batches(self):
        sweeps = sam.resources("AWS::Pipes::Pipe")["Sweeps"]
        self.assertEqual(sam.text(sweeps["Source"]), "FailedBatches.Arn")
        self.assertEqual(sam.text(sweeps["Target"]), "Maintenance")
        target = sweeps["TargetParameters"]
        self.assertEqual(target["StepFunctionStateMachineParameters"], {"InvocationType": "FIRE_AND_FORGET"})
        # The template passes on the part of a message that tests/events/maintain.sweep.json contains.
        self.assertEqual(target["InputTemplate"], '{ "DDBStreamBatchInfo": <$.body.DDBStreamBatchInfo> }')
        window = sweeps["SourceParameters"]["SqsQueueParameters"]["MaximumBatchingWindowInSeconds"]
        # AWS requires a visibility timeout of at least six times the batching window.
        self.assertGreaterEqual(sam.resources("AWS::SQS::Queue")["FailedBatches"]["VisibilityTimeout"], 6 * window)

    def test_a_schedule_verifies_all_views(self):
        schedules = sam.resources("AWS::Scheduler::Schedule").values()
        [schedule] = [each for each in schedules if sam.text(each["Target"]["Arn"]) == "Maintenance"]
        self.assertEqual(sam.text(schedule["ScheduleExpression"]), "VerifySchedule")
        self.assertEqual(sam.text(schedule["Target"]["Arn"]), "Maintenance")
        self.assertEqual(json.loads(schedule["Target"]["Input"]), {"task": "verify", "segments": 8})

    def test_maintenance_resources_have_no_fixed_names_that_collide_between_stacks(self):
        for kind in ("AWS::Scheduler::Schedule", "AWS::Pipes::Pipe"):
            for name, resource in sam.resources(kind).items():
                self.assertNotIn("Name", resource, name)
        [machine] = sam.resources("AWS::StepFunctions::StateMachine").values()
        self.assertNotIn("StateMachineName", machine)


class Processes(unittest.TestCase):
    def test_a_schedule_sweeps_for_overdue_timers(self):
        schedules = sam.resources("AWS::Scheduler::Schedule").values()
        [schedule] = [each for each in schedules if sam.text(each["Target"]["Arn"]) == "ProcessFunction.Arn"]
        self.assertEqual(json.loads(schedule["Target"]["Input"]), {"sweep": {}})
        self.assertEqual(schedule["ScheduleExpression"], "rate(5 minutes)")

    def test_the_events_of_orders_signal_the_process(self):
        rule = sam.resources("AWS::Events::Rule")["ProcessTriggers"]
        # A pattern with a prefix would also match order.shipping-reminded, whose subject is no order.
        types = ["order.placed", "order.shipped", "order.cancelled"]
        self.assertEqual(rule["EventPattern"], {"source": ["orders"], "detail-type": types})
        [target] = rule["Targets"]
        self.assertEqual(sam.text(target["Arn"]), "ProcessSignals.Arn")
        self.assertEqual(sam.text(target["DeadLetterConfig"]["Arn"]), "ProcessDeadLetters.Arn")

    def test_a_signal_that_fails_is_kept_for_two_weeks(self):
        queues = sam.resources("AWS::SQS::Queue")
        timeout = sam.resources("AWS::Lambda::Function")["ProcessFunction"]["Timeout"]
        self.assertGreaterEqual(queues["ProcessSignals"]["VisibilityTimeout"], 6 * timeout)
        redrive = queues["ProcessSignals"]["RedrivePolicy"]
        self.assertEqual(sam.text(redrive["deadLetterTargetArn"]), "ProcessDeadLetters.Arn")
        self.assertEqual(queues["ProcessDeadLetters"]["MessageRetentionPeriod"], 14 * 24 * 60 * 60)


class Functions(unittest.TestCase):
    def test_functions_share_runtime_and_architecture_and_are_traced(self):
        for name, function in sam.resources("AWS::Lambda::Function").items():
            self.assertEqual(function["Runtime"], "provided.al2023", name)
            self.assertEqual(function["Architectures"], [{"Ref": "Architecture"}], name)
            self.assertEqual(function.get("TracingConfig"), {"Mode": "Active"}, name)

    def test_each_function_logs_json_to_its_own_group(self):
        for name, function in sam.resources("AWS::Lambda::Function").items():
            group = {"Ref": name.replace("Function", "Logs")}
            expected = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": group}
            self.assertEqual(function["LoggingConfig"], expected)

    def test_metrics_of_the_functions_have_the_namespace_of_the_stack(self):
        for name, function in sam.resources("AWS::Lambda::Function").items():
            self.assertEqual(function["Environment"]["Variables"]["METRICS_NAMESPACE"], {"Ref": "AWS::StackName"}, name)


class Logs(unittest.TestCase):
    def test_each_function_and_the_api_has_a_log_group(self):
        expected = {name.replace("Function", "Logs") for name in sam.resources("AWS::Lambda::Function")} | {"ApiLogs"}
        self.assertEqual(sam.resources("AWS::Logs::LogGroup").keys(), expected)

    def test_all_logs_expire(self):
        for name, group in sam.resources("AWS::Logs::LogGroup").items():
            self.assertEqual(group.get("RetentionInDays"), {"Ref": "LogRetentionInDays"}, name)

    def test_the_access_log_of_the_api_holds_no_personal_data(self):
        [stage] = sam.resources("AWS::ApiGatewayV2::Stage").values()
        log = stage["AccessLogSettings"]
        self.assertEqual(sam.text(log["DestinationArn"]), "ApiLogs.Arn")
        for personal in ("sourceIp", "claims", "path", "userAgent", "querystring", "principalId"):
            self.assertNotIn(personal, log["Format"])


class Parameters(unittest.TestCase):
    def test_only_the_issuer_and_the_audience_have_no_default(self):
        parameters = sam.translated()["Parameters"].items()
        required = {name for name, parameter in parameters if "Default" not in parameter}
        self.assertEqual(required, {"JwtIssuer", "JwtAudience"})

    def test_each_parameter_has_a_description(self):
        for name, parameter in sam.translated()["Parameters"].items():
            self.assertTrue(parameter.get("Description"), name)

    def test_the_stage_is_a_tag_and_no_prefix_of_paths(self):
        stage = {"Ref": "Stage"}
        for kind in ("AWS::Lambda::Function", "AWS::DynamoDB::Table", "AWS::SQS::Queue"):
            for name, resource in sam.resources(kind).items():
                self.assertIn({"Key": "Stage", "Value": stage}, resource.get("Tags", []), name)
        [deployed] = sam.resources("AWS::ApiGatewayV2::Stage").values()
        self.assertEqual((deployed["StageName"], deployed["Tags"].get("Stage")), ("$default", stage))


if __name__ == "__main__":
    unittest.main()
