"""The tests can fail: each change that would do harm is noticed by one of them."""

import io
import unittest
from unittest import mock

import sam

# What is replaced in template.yaml, by what, and the test that has to notice.
HARM = [
    ("Auth: { AuthorizationScopes: [orders/admin] }", "Auth: { Authorizer: NONE }", "each_route_wants_a_token"),
    ("            Auth: { AuthorizationScopes: [orders/write, orders/admin] }\n", "", "each_route_wants_a_token"),
    ("[orders/fulfil, orders/admin]", "[orders/write, orders/fulfil, orders/admin]", "each_route_wants_a_token"),
    ("issuer: !Ref JwtIssuer", "issuer: https://example.com", "tokens_are_those_of_the_parameters"),
    ("[dynamodb:PutItem, dynamodb:Query]", "[dynamodb:PutItem, dynamodb:UpdateItem]", "nobody_may_change"),
    ("dynamodb:GetItem, Resource: !GetAtt Order", "dynamodb:Scan, Resource: !GetAtt Order", "each_role_allows_just"),
    ("Resource: !GetAtt CommandLogs.Arn", 'Resource: "*"', "nothing_but_tracing"),
    ("      Role: !GetAtt CommandRole.Arn\n", "      Policies: AmazonDynamoDBFullAccess\n", "no_role_has_policies"),
    ("Role: !GetAtt GetOrderRole.Arn", "Role: !GetAtt CommandRole.Arn", "each_function_has_a_role_of_its_own"),
    ("    DeletionPolicy: Retain\n", "", "they_outlive_the_stack"),
    ("      DeletionProtectionEnabled: true\n", "", "they_outlive_the_stack"),
    ("{ PointInTimeRecoveryEnabled: true }", "{ PointInTimeRecoveryEnabled: false }", "they_are_backed_up"),
    ("            FunctionResponseTypes: [ReportBatchItemFailures]\n", "", "the_projector_is_invoked_like_this"),
    ("MaximumRetryAttempts: 1000", "MaximumRetryAttempts: -1", "the_projector_is_invoked_like_this"),
    ("LogGroup: !Ref ListOrdersLogs", "LogGroup: !Ref CommandLogs", "each_logs_json_to_a_group_of_its_own"),
    ("{ RetentionInDays: !Ref LogRetentionInDays }", "{}", "none_is_kept_for_ever"),
    ('"status":"$context.status"', '"ip":"$context.identity.sourceIp"', "the_log_of_the_api_holds_no_personal_data"),
    ("    Tracing: Active\n", "", "they_run_on_the_same_and_are_traced"),
    ("    Default: arm64\n", "", "only_the_issuer_and_the_audience"),
    ("      OKActions: !If [HasAlarmTopic, [!Ref AlarmTopic], []]\n", "", "each_tells_the_topic"),
    ("docs/runbooks/api-failing.md", "docs/runbooks/api-failed.md", "each_says_what_it_means"),
    ("      TreatMissingData: notBreaching\n", "", "each_says_what_no_data_means"),
    ("            OmitName: true", "            Name: verify", "no_name_that_another_stack_would_want"),
    ("VisibilityTimeout: 1800", "VisibilityTimeout: 30", "given_up_are_swept_up"),
    ("[dynamodb:Query, dynamodb:Scan]", "[dynamodb:Query, dynamodb:DeleteItem]", "nobody_may_change"),
    ("      Timeout: 60\n", "      Timeout: 30\n", "a_function_is_slow_at_four_fifths"),
    ("100 * failed / requests", "100 * failed / asked", "they_compute_with_what_they_name"),
    ('"${TablesFailing.Arn}"\n', '"${Api.Arn}"\n', "it_begins_with_all_alarms"),
    ('[".", "GapsFilled"]', '[".", "GapsMended"]', "it_shows_all_our_metrics"),
]


def failures(source: str) -> str:
    """The names of the tests that fail on this template."""
    names = ["test_access", "test_safety", "test_operations"]
    with mock.patch.object(sam, "SOURCE", source):
        suite = unittest.defaultTestLoader.loadTestsFromNames(names)
        result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    return " ".join(test.id() for test, _ in result.failures)


class Tests(unittest.TestCase):
    def test_each_notices_the_harm_that_it_is_there_for(self):
        for before, after, test in HARM:
            with self.subTest(before=before, after=after):
                self.assertIn(before, sam.SOURCE)
                self.assertIn(test, failures(sam.SOURCE.replace(before, after, 1)))


if __name__ == "__main__":
    unittest.main()
