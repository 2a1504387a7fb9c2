"""Permissions: the scopes of the routes, and the actions that each role grants."""

import json
import re
import unittest

import sam

# A system test compares openapi.json with the routes that the functions declare.
DESCRIPTION = json.loads((sam.ROOT / "openapi.json").read_text())
ROUTES = {
    f"{method.upper()} {path}": [scope for bearer in operation["security"] for scope in bearer["bearer"]]
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
}

LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
# X-Ray has no resource-level permissions, so these two actions are granted on *.
TRACE = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}

# The schedules of the timers.
SCHEDULES = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${Timers}/*"

# The kinds of tables by their keys. Every other table except the events contains views.
KINDS = {("shard", "row"): "counters", ("partition", "sort"): "rows"}
READ_TABLES = {
    name: KINDS.get(tuple(key["AttributeName"] for key in table["KeySchema"]), "views")
    for name, table in sam.resources("AWS::DynamoDB::Table").items()
    if name not in {"EventsTable", *sam.POSITIONS}
}


def read_models(**more: set[str]) -> dict[str, set[str]]:
    """Returns the actions of a role that updates all read models, by table. `more` has further actions by kind."""
    written = {
        "views": {"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "counters": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
        "rows": {"dynamodb:PutItem", "dynamodb:DeleteItem"},
    }
    return {f"{name}.Arn": written[kind] | more.get(kind, set()) for name, kind in READ_TABLES.items()}


def positions(*more: str) -> dict[str, set[str]]:
    """Returns the actions of a role that moves the positions of the publisher, by table."""
    moved = {"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem", *more}
    return {f"{name}.Arn": moved for name in sam.POSITIONS}


def http_role(name: str, function: dict) -> dict[str, set[str]]:
    """Returns the actions of a function of the API: those that its tables and the methods of its routes need."""
    routes = [event["Properties"]["Method"] for event in function["Events"].values()]
    events = {"dynamodb:Query"} | ({"dynamodb:PutItem"} if "POST" in routes else set())
    read = {"views": {"dynamodb:GetItem"}, "counters": {"dynamodb:GetItem", "dynamodb:Query"}, "rows": {"dynamodb:Query"}}
    role = {f"{name.removesuffix('Function')}Logs.Arn": LOG, "*": TRACE}
    for variable, table in function["Environment"]["Variables"].items():
        if variable.endswith("_TABLE"):
            table = sam.text(table)
            role[f"{table}.Arn"] = events if table == "EventsTable" else read[READ_TABLES[table]]
    return role


def http_roles() -> dict[str, dict[str, set[str]]]:
    """Returns the roles of all functions of the API. A system test compares their tables with the code."""
    functions = {
        name: resource["Properties"]
        for name, resource in sam.source()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    of_api = {
        name: function
        for name, function in functions.items()
        if any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values())
    }
    return {name.replace("Function", "Role"): http_role(name, function) for name, function in of_api.items()}


ROLES = {
    **http_roles(),
    "CommandQueueRole": {
        "EventsTable.Arn": {"dynamodb:PutItem", "dynamodb:Query"},
        "CommandQueue.Arn": {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
        "CommandDeadLetters.Arn": {"sqs:SendMessage"},
        "EventBus.Arn": {"events:PutEvents"},
        "CommandQueueLogs.Arn": LOG,
        "*": TRACE,
    },
    "ProjectorRole": {
        "EventsTable.StreamArn": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
        "${EventsTable.Arn}/stream/*": {"dynamodb:ListStreams"},
        "EventsTable.Arn": {"dynamodb:Query"},
        **read_models(),
        "FailedBatches.Arn": {"sqs:SendMessage"},
        "ProjectorLogs.Arn": LOG,
        "*": TRACE,
    },
    "PublisherRole": {
        "EventsTable.StreamArn": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
        "${EventsTable.Arn}/stream/*": {"dynamodb:ListStreams"},
        "EventsTable.Arn": {"dynamodb:Query"},
        **positions(),
        "EventBus.Arn": {"events:PutEvents"},
        "FailedBatches.Arn": {"sqs:SendMessage"},
        "PublisherLogs.Arn": LOG,
        "*": TRACE,
    },
    "ProcessRole": {
        "EventsTable.Arn": {"dynamodb:PutItem", "dynamodb:Query"},
        "${ShippingTimersTable.Arn}/index/by-due": {"dynamodb:Query"},
        "ProcessSignals.Arn": {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
        SCHEDULES: {"scheduler:CreateSchedule"},
        "TimersRole.Arn": {"iam:PassRole"},
        "ProcessLogs.Arn": LOG,
        "*": TRACE,
    },
    "TimersRole": {"ProcessSignals.Arn": {"sqs:SendMessage"}},
    "SweepTimersRole": {"ProcessFunction.Arn": {"lambda:InvokeFunction"}},
    "MaintainRole": {
        "EventsTable.Arn": {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"},
        **read_models(views={"dynamodb:Scan"}, counters={"dynamodb:Query"}, rows={"dynamodb:BatchGetItem"}),
        **positions("dynamodb:Scan"),
        "EventBus.Arn": {"events:PutEvents"},
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
        for name in http_roles():
            found[name] = self.without_lists(name, found[name])
        self.assertEqual(found, ROLES)

    def without_lists(self, name: str, granted: dict[str, set[str]]) -> dict[str, set[str]]:
        """Removes the grants on indexes, which may only query lists of the views that the function may read."""
        others = {}
        for resource, actions in granted.items():
            index = re.fullmatch(r"\$\{(.*\.Arn)\}/index/(.*)", resource)
            if index is None:
                others[resource] = actions
                continue
            self.assertIn("dynamodb:GetItem", granted.get(index[1], set()), name)
            self.assertEqual((actions, index[2] == "parked"), ({"dynamodb:Query"}, False), name)
        return others

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
        reads_and_appends = {"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query"}
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
