"""Shows that the tests can fail: each harmful change of template.yaml fails one of them."""

import io
import unittest
from unittest import mock

import sam

# Text of template.yaml, its replacement, and part of the name of the test that must fail.
HARMFUL_CHANGES = [
    ("Auth: { AuthorizationScopes: [orders/admin] }", "Auth: { Authorizer: NONE }", "each_route_requires_a_token"),
    ("            Auth: { AuthorizationScopes: [orders/write, orders/admin] }\n", "", "each_route_requires_a_token"),
    ("[orders/fulfil, orders/admin]", "[orders/write, orders/fulfil, orders/admin]", "each_route_requires_a_token"),
    ("issuer: !Ref JwtIssuer", "issuer: https://example.com", "the_authorizer_checks_the_issuer"),
    ("[dynamodb:PutItem, dynamodb:Query]", "[dynamodb:PutItem, dynamodb:UpdateItem]", "no_role_may_change"),
    ("dynamodb:GetItem, Resource: !GetAtt Order", "dynamodb:Scan, Resource: !GetAtt Order", "each_role_grants_exactly"),
    ("Resource: !GetAtt CommandLogs.Arn", 'Resource: "*"', "only_tracing_is_granted"),
    ("      Role: !GetAtt CommandRole.Arn\n", "      Policies: AmazonDynamoDBFullAccess\n", "roles_have_only_inline"),
    ("Role: !GetAtt GetOrderRole.Arn", "Role: !GetAtt CommandRole.Arn", "each_function_has_its_own_role"),
    ("    DeletionPolicy: Retain\n", "", "tables_outlive_the_stack"),
    ("      DeletionProtectionEnabled: true\n", "", "tables_outlive_the_stack"),
    ("{ PointInTimeRecoveryEnabled: true }", "{ PointInTimeRecoveryEnabled: false }", "only_the_events_table_is_backed_up"),
    ("!If [CreatesEventsTable, !Ref EventsTable, !Ref ExistingEventsTable]", "!Ref EventsTable",
     "existing_table_replaces"),
    ("!If [CreatesEventsTable, !GetAtt EventsTable.StreamArn, !Ref ExistingEventsStreamArn]",
     "!GetAtt EventsTable.StreamArn", "existing_table_replaces"),
    ("    Condition: CreatesEventsTable\n", "", "existing_table_replaces"),
    ("      - Assert: !Or\n", "      - Assert: !And\n", "given_together_or_not_at_all"),
    ("-dashboard-${ReadTables}", "-order-summaries-${ReadTables}", "a_suffix_gives_all_read_tables_new_names"),
    ("            FunctionResponseTypes: [ReportBatchItemFailures]\n            BisectBatchOnFunctionError: true\n",
     "            BisectBatchOnFunctionError: true\n", "the_event_source_mapping_has"),
    ("            FunctionResponseTypes: [ReportBatchItemFailures]\n            # A", "            # A",
     "the_queue_of_commands_has"),
    ("VisibilityTimeout: 60\n", "VisibilityTimeout: 30\n", "invisible_for_at_least_six_timeouts"),
    ("maxReceiveCount: 50", "maxReceiveCount: 1", "becomes_a_dead_letter"),
    ("Condition: { ArnEquals: { aws:SourceArn: !GetAtt CarrierDelivered.Arn } }",
     "Condition: { ArnEquals: { aws:SourceArn: !GetAtt EventBus.Arn } }", "only_the_rules_of_the_stack_may_send"),
    (", delivery_id: [{ exists: true }]", "", "the_delivery_of_a_carrier_becomes"),
    ("          DeadLetterConfig: { Arn: !GetAtt CommandDeadLetters.Arn }\n",
     "          DeadLetterConfig: { Arn: !GetAtt FailedBatches.Arn }\n", "the_delivery_of_a_carrier_becomes"),
    ("MaximumRetryAttempts: 1000", "MaximumRetryAttempts: -1", "the_event_source_mapping_has"),
    ("LogGroup: !Ref ListOrdersLogs", "LogGroup: !Ref CommandLogs", "each_function_logs_json_to_its_own_group"),
    ("{ RetentionInDays: !Ref LogRetentionInDays }", "{}", "all_logs_expire"),
    ('"status":"$context.status"', '"ip":"$context.identity.sourceIp"', "the_access_log_of_the_api_holds"),
    ("    Tracing: Active\n", "", "functions_share_runtime_and_architecture"),
    ("    Default: arm64\n", "", "only_the_issuer_and_the_audience"),
    ("      OKActions: !If [HasAlarmTopic, [!Ref AlarmTopic], []]\n", "", "each_alarm_notifies_the_topic"),
    ("docs/runbooks/api-failing.md", "docs/runbooks/api-failed.md", "a_description_that_names_its_runbook"),
    ("      TreatMissingData: notBreaching\n", "", "missing_data_raises_no_alarm"),
    ("            OmitName: true", "            Name: verify", "no_fixed_names_that_collide"),
    ("VisibilityTimeout: 1800", "VisibilityTimeout: 30", "a_pipe_starts_a_sweep"),
    ("[dynamodb:BatchGetItem, dynamodb:Query, dynamodb:Scan]", "[dynamodb:Query, dynamodb:DeleteItem]", "no_role_may_change"),
    ("      Timeout: 60\n", "      Timeout: 30\n", "the_threshold_of_a_slow_function"),
    ("100 * failed / requests", "100 * failed / all", "alarm_expressions_use_metrics"),
    ('"${TablesFailingEvents.Arn}"', '"${Api.Arn}"', "the_dashboard_begins_with_all_alarms"),
    ("Name: GlobalSecondaryIndexName, Value: by-customer", "Name: GlobalSecondaryIndexName, Value: parked",
     "throttling_of_its_indexes"),
    ('[".", "GapsFilled"]', '[".", "GapsMended"]', "the_dashboard_shows_every_metric"),
]


def failures(source: str) -> str:
    """Returns the names of the tests that fail on this template."""
    names = ["test_access", "test_safety", "test_operations", "test_restore"]
    with mock.patch.object(sam, "SOURCE", source):
        suite = unittest.defaultTestLoader.loadTestsFromNames(names)
        result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    return " ".join(test.id() for test, _ in result.failures)


class Tests(unittest.TestCase):
    def test_each_harmful_change_fails_the_test_against_it(self):
        for before, after, test in HARMFUL_CHANGES:
            with self.subTest(before=before, after=after):
                self.assertIn(before, sam.SOURCE)
                self.assertIn(test, failures(sam.SOURCE.replace(before, after, 1)))


if __name__ == "__main__":
    unittest.main()
