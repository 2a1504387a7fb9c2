"""Alarms, their runbook pages, and the dashboard."""

import json
import re
import unittest
from collections.abc import Iterable

import sam
from test_safety import FUNCTIONS, TABLES

# Matches the calls by which the functions emit a metric.
EMITTED = re.compile(r'\.(?:count|one_of|number_of|milliseconds)\("([A-Z]\w+)"')
OUR_METRICS = {
    metric
    for folder in ("functions", "shared/app/src/command", "shared/messaging")
    for source in (sam.ROOT / folder).glob("**/*.rs")
    for metric in EMITTED.findall(source.read_text())
}


def alarms(**parameters: str) -> dict[str, dict]:
    return sam.resources("AWS::CloudWatch::Alarm", **parameters)


def watched(alarm: dict) -> list[dict]:
    """Returns the metrics of an alarm: its only metric, or those of its expressions."""
    if "MetricName" in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


def values(metric: dict, dimension: str) -> list[str]:
    return [sam.text(pair["Value"]) for pair in metric.get("Dimensions", []) if pair["Name"] == dimension]


def all_watched(name: str, dimension: str) -> list[str]:
    """Returns the values of a dimension for which the alarms watch this metric, such as function names."""
    metrics = [metric for alarm in alarms().values() for metric in watched(alarm) if metric["MetricName"] == name]
    return [value for metric in metrics for value in values(metric, dimension)]


# Runbook pages that describe a cause instead of an alarm. The runbooks' README and an error message refer to them.
CAUSES = {"tls-unknown-issuer"}


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def page(name: str) -> str:
    """Returns the name of an alarm's runbook page: projector-behind for ProjectorBehind.

    The alarms of all tables share a page: tables-failing for TablesFailingEvents.
    """
    tables = "|".join(table.removesuffix("Table") for table in TABLES)
    return kebab(re.sub(rf"^(Tables[A-Z][a-z]+)(?:{tables})$", r"\1", name))


def indexes(table: str) -> list[str]:
    """Returns the watched indexes of a table. The index parked is nearly always empty."""
    named = sam.resources("AWS::DynamoDB::Table")[table].get("GlobalSecondaryIndexes", [])
    return [index["IndexName"] for index in named if index["IndexName"] != "parked"]


def of_tables() -> dict[str, dict]:
    return {name: alarm for name, alarm in alarms().items() if name.startswith("Tables")}


def cost(chosen: Iterable[dict]) -> float:
    """Returns the cost of alarms in dollars a month."""
    return 0.10 * sum(len(watched(alarm)) for alarm in chosen)


class Alarms(unittest.TestCase):
    def test_each_alarm_has_a_description_that_names_its_runbook_page(self):
        for name, alarm in alarms().items():
            self.assertEqual(sam.text(alarm["AlarmName"]), "${AWS::StackName}-${Stage}-" + kebab(name))
            self.assertRegex(alarm["AlarmDescription"], rf"^[A-Z].+\. See docs/runbooks/{page(name)}\.md\.$")

    def test_each_alarm_has_a_runbook_page_and_each_page_has_an_alarm(self):
        pages = {path.stem for path in (sam.ROOT / "docs/runbooks").glob("*.md")} - {"README"} - CAUSES
        self.assertEqual({page(name) for name in alarms()}, pages)

    def test_each_alarm_notifies_the_topic_if_there_is_one(self):
        for topic, actions in {"": [], "arn:aws:sns:eu-west-1:123456789012:alarms": [{"Ref": "AlarmTopic"}]}.items():
            for name, alarm in alarms(AlarmTopic=topic).items():
                self.assertEqual((alarm.get("AlarmActions"), alarm.get("OKActions")), (actions, actions), name)

    def test_missing_data_raises_no_alarm(self):
        for name, alarm in alarms().items():
            self.assertEqual(alarm.get("TreatMissingData"), "notBreaching", name)

    def test_alarms_watch_throttles_errors_and_duration_of_the_functions(self):
        self.assertCountEqual(all_watched("Throttles", "FunctionName"), FUNCTIONS)
        # The state machine retries a failed step of the maintain function, and a step uses all the time that it has.
        for metric in ("Errors", "Duration"):
            self.assertCountEqual(all_watched(metric, "FunctionName"), FUNCTIONS - {"MaintainFunction"}, metric)

    def test_alarms_watch_throttling_and_errors_of_every_table_and_throttling_of_its_indexes(self):
        found = {name: {table for metric in watched(alarm) for table in values(metric, "TableName")}
                 for name, alarm in of_tables().items()}
        names = {table: table.removesuffix("Table") for table in TABLES}
        kinds = ("TablesThrottled", "TablesFailing")
        self.assertEqual(found, {kind + name: {table} for table, name in names.items() for kind in kinds})
        for table, name in names.items():
            metrics = watched(alarms()[f"TablesThrottled{name}"])
            throttled = [(metric["MetricName"], *values(metric, "GlobalSecondaryIndexName")) for metric in metrics]
            kinds = ("ReadThrottleEvents", "WriteThrottleEvents")
            every = [(kind, *index) for index in [[], *[[name] for name in indexes(table)]] for kind in kinds]
            self.assertCountEqual(throttled, every, table)
            failing = watched(alarms()[f"TablesFailing{name}"])
            self.assertEqual({metric["MetricName"] for metric in failing}, {"SystemErrors"}, table)

    def test_the_threshold_of_a_slow_function_is_80_percent_of_its_timeout(self):
        functions = sam.resources("AWS::Lambda::Function")
        for alarm in alarms().values():
            for metric in watched(alarm):
                if metric["MetricName"] == "Duration":
                    [function] = values(metric, "FunctionName")
                    self.assertEqual(alarm["Threshold"], functions[function]["Timeout"] * 1000 * 4 // 5, function)

    def test_the_read_side_alarms_come_long_before_the_stream_drops_its_records(self):
        ages = {name: a["Threshold"] for name, a in alarms().items() if a.get("MetricName") == "IteratorAge"}
        minute = 60 * 1000
        behind = {"ProjectorBehind": 5 * minute, "PublisherBehind": 5 * minute}
        self.assertEqual(ages, behind | {"ProjectorFarBehind": 12 * 60 * minute})

    def test_alarm_expressions_use_metrics_of_their_alarm_which_has_at_most_ten(self):
        for name, alarm in alarms().items():
            queries = alarm.get("Metrics", [])
            expressions = [query["Expression"] for query in queries if "Expression" in query]
            used = {word for expression in expressions for word in re.findall(r"\b[a-z]\w*", expression)}
            self.assertLessEqual(used, {query["Id"] for query in queries}, name)
            self.assertLessEqual(len(watched(alarm)), 10, name)  # CloudWatch's limit

    def test_alarms_cost_at_most_a_dollar_a_month_for_a_table_and_30_cents_for_a_function(self):
        for table in TABLES:
            name = table.removesuffix("Table")
            self.assertLessEqual(cost(alarms()[f"Tables{kind}{name}"] for kind in ("Throttled", "Failing")), 1, table)
        others = cost(alarm for name, alarm in alarms().items() if name not in of_tables())
        self.assertLessEqual(others, 2 + 0.30 * len(FUNCTIONS))


class Dashboard(unittest.TestCase):
    def setUp(self):
        dashboard = sam.resources("AWS::CloudWatch::Dashboard")["Dashboard"]
        self.source, variables = dashboard["DashboardBody"]["Fn::Sub"]
        for name, value in variables.items():
            self.source = self.source.replace(f"${{{name}}}", f"${{{sam.text(value)}}}")
        self.widgets = json.loads(re.sub(r"\$\{([^}]+)\}", r"\1", self.source))["widgets"]

    def test_the_dashboard_refers_to_existing_resources(self):
        referred = {name.split(".")[0] for name in re.findall(r"\$\{([^}]+)\}", self.source)}
        pseudo = {"AWS::Region", "AWS::StackName"}
        self.assertLessEqual(referred, sam.translated()["Resources"].keys() | pseudo)

    def test_the_dashboard_begins_with_all_alarms(self):
        shown = [arn.removesuffix(".Arn") for arn in self.widgets[0]["properties"]["alarms"]]
        self.assertCountEqual(shown, alarms())

    def test_the_dashboard_shows_every_metric_of_the_functions_and_alarms_watch_no_others(self):
        shown, namespace, name = set(), None, None
        for widget in self.widgets[1:]:
            for metric in widget["properties"]["metrics"]:
                if isinstance(metric[0], str):
                    # A dot repeats the value of the line above.
                    namespace = namespace if metric[0] == "." else metric[0]
                    name = name if metric[1] == "." else metric[1]
                    shown.add((namespace, name))
        self.assertEqual({name for namespace, name in shown if namespace == "AWS::StackName"}, OUR_METRICS)
        ours = [m for alarm in alarms().values() for m in watched(alarm) if m["Namespace"] == {"Ref": "AWS::StackName"}]
        self.assertLessEqual({metric["MetricName"] for metric in ours}, OUR_METRICS)


if __name__ == "__main__":
    unittest.main()
