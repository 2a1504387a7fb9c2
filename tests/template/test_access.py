"""Permissions: the scopes of the routes, and the actions that each role grants."""

import unittest

import sam

READERS = ["orders/read", "orders/fulfil", "orders/admin"]

ROUTES = {
    "POST /orders": ["orders/write", "orders/admin"],
    "POST /orders/{order_id}/ship": ["orders/fulfil", "orders/admin"],
    "POST /orders/{order_id}/deliver": ["orders/fulfil", "orders/admin"],
    "POST /orders/{order_id}/cancel": ["orders/write", "orders/admin"],
    "GET /orders/{order_id}": READERS,
    "GET /orders/{order_id}/events": READERS,
    "GET /customers/{customer_id}/orders": READERS,
    "GET /dashboard": ["orders/admin"],
}

LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
# X-Ray has no resource-level permissions, so these two actions are granted on *.
TRACE = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}

# A table whose key is a shard and a row contains counters. Every other table except the events contains views.
COUNTERS_KEY = ["shard", "row"]
READ_TABLES = {
    name: [key["AttributeName"] for key in table["KeySchema"]] == COUNTERS_KEY
    for name, table in sam.resources("AWS::DynamoDB::Table").items()
    if name != "EventsTable"
}


def read_models(counters: set[str]) -> dict[str, set[str]]:
    """Returns the actions of a role that updates all read models, by table."""
    views = {"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
    return {f"{name}.Arn": counters if is_counters else views for name, is_counters in READ_TABLES.items()}


ROLES = {
    "CommandRole": {
        "EventsTable.Arn": {"dynamodb:PutItem", "dynamodb:Query"},
        "CommandLogs.Arn": LOG,
        "*": TRACE,
    },
    "ProjectorRole": {
        "EventsTable.StreamArn": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
        "${EventsTable.Arn}/stream/*": {"dynamodb:ListStreams"},
        "EventsTable.Arn": {"dynamodb:Query"},
        **read_models(counters={"dynamodb:UpdateItem"}),
        "FailedBatches.Arn": {"sqs:SendMessage"},
        "ProjectorLogs.Arn": LOG,
        "*": TRACE,
    },
    "GetOrderRole": {
        "EventsTable.Arn": {"dynamodb:Query"},
        "OrderSummariesTable.Arn": {"dynamodb:GetItem"},
        "GetOrderLogs.Arn": LOG,
        "*": TRACE,
    },
    "ListOrdersRole": {
        "EventsTable.Arn": {"dynamodb:Query"},
        "OrderSummariesTable.Arn": {"dynamodb:GetItem"},
        "${OrderSummariesTable.Arn}/index/by-customer": {"dynamodb:Query"},
        "ListOrdersLogs.Arn": LOG,
        "*": TRACE,
    },
    "GetDashboardRole": {
        "DashboardTable.Arn": {"dynamodb:GetItem", "dynamodb:Query"},
        "GetDashboardLogs.Arn": LOG,
        "*": TRACE,
    },
    "MaintainRole": {
        "EventsTable.Arn": {"dynamodb:Query", "dynamodb:Scan"},
        **read_models(counters={"dynamodb:Query", "dynamodb:UpdateItem"}),
        "MaintainLogs.Arn": LOG,
        "*": TRACE,
    },
    "MaintenanceRole": {"MaintainFunction.Arn": {"lambda:InvokeFunction"}},
    "VerifyRole": {"Maintenance": {"states:StartExecution"}},
    "SweepsRole": {
        "FailedBatches.Arn": {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
        "Maintenance": {"states:StartExecution"},
    },
}


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def grants(role: dict) -> dict[str, set[str]]:
    """Returns the actions that a role grants, by resource."""
    granted: dict[str, set[str]] = {}
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow" and statement.keys() == {"Effect", "Action", "Resource"}, statement
            for resource in map(sam.text, listed(statement["Resource"])):
                granted.setdefault(resource, set()).update(listed(statement["Action"]))
    return granted


class Routes(unittest.TestCase):
    def test_each_route_requires_a_token_with_one_of_its_scopes(self):
        found = {}
        for path, methods in sam.resources("AWS::ApiGatewayV2::Api")["Api"]["Body"]["paths"].items():
            for method, route in methods.items():
                if method != "options":  # Preflight requests have no token; API Gateway answers them itself.
                    [security] = route.get("security") or [{}]
                    found[f"{method.upper()} {path}"] = security.get("Jwt")
        self.assertEqual(found, ROUTES)

    def test_the_authorizer_checks_the_issuer_and_audience_of_the_parameters(self):
        schemes = sam.resources("AWS::ApiGatewayV2::Api")["Api"]["Body"]["components"]["securitySchemes"]
        self.assertEqual(list(schemes), ["Jwt"])
        authorizer = schemes["Jwt"]["x-amazon-apigateway-authorizer"]
        self.assertEqual(authorizer["type"], "jwt")
        self.assertEqual(authorizer["identitySource"], "$request.header.Authorization")
        expected = {"issuer": {"Ref": "JwtIssuer"}, "audience": {"Ref": "JwtAudience"}}
        self.assertEqual(authorizer["jwtConfiguration"], expected)


class Roles(unittest.TestCase):
    def test_each_role_grants_exactly_the_listed_actions(self):
        found = {name: grants(role) for name, role in sam.resources("AWS::IAM::Role").items()}
        self.assertEqual(found, ROLES)

    def test_each_function_has_its_own_role(self):
        for name, function in sam.resources("AWS::Lambda::Function").items():
            self.assertEqual(sam.text(function["Role"]), name.replace("Function", "Role.Arn"))

    def test_roles_have_only_inline_policies(self):
        for name, role in sam.resources("AWS::IAM::Role").items():
            self.assertEqual(role.keys(), {"AssumeRolePolicyDocument", "Policies"}, name)
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::DynamoDB::ResourcePolicy"):
            self.assertEqual(sam.resources(kind), {})

    def test_only_tracing_is_granted_on_all_resources(self):
        for name, role in sam.resources("AWS::IAM::Role").items():
            self.assertLessEqual(grants(role).get("*", set()), TRACE, name)

    def test_no_role_may_change_or_delete_a_commit_and_only_maintenance_may_scan(self):
        reads_and_appends = {"dynamodb:PutItem", "dynamodb:Query"}
        for name, role in sam.resources("AWS::IAM::Role").items():
            for resource, actions in grants(role).items():
                if name == "MaintainRole":
                    self.assertNotIn("dynamodb:PutItem", actions if resource == "EventsTable.Arn" else [])
                    actions = actions - {"dynamodb:Scan"}
                if resource == "EventsTable.Arn":
                    self.assertLessEqual(actions, reads_and_appends, name)
                self.assertNotIn("dynamodb:Scan", actions, name)
                self.assertFalse([action for action in actions if "*" in action], name)


if __name__ == "__main__":
    unittest.main()
