"""Parameters for a restore: a stack with an existing events table, and new read tables."""

import itertools
import re
import unittest

import sam
from test_operations import kebab

# The ARN of the existing events table.
ARN = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${ExistingEventsTable}"


def with_existing_table(value):
    """Returns the value with references to the existing table instead of the events table of the stack."""
    match value:
        case {"Ref": "EventsTable"}:
            return {"Ref": "ExistingEventsTable"}
        case {"Fn::GetAtt": ["EventsTable", "Arn"]}:
            return {"Fn::Sub": ARN}
        case {"Fn::GetAtt": ["EventsTable", "StreamArn"]}:
            return {"Ref": "ExistingEventsStreamArn"}
        # The projector's role grants its actions on all streams of an existing table.
        case {"Resource": {"Fn::GetAtt": ["EventsTable", "StreamArn"]} | {"Fn::Sub": "${EventsTable.Arn}/stream/*"}}:
            return value | {"Resource": {"Fn::Sub": ARN + "/stream/*"}}
        case dict():
            return {key: with_existing_table(entry) for key, entry in value.items()}
        case list():
            return [with_existing_table(entry) for entry in value]
        case _:
            return value


def parameter_accepts(name: str, value: str) -> bool:
    return re.search(sam.translated()["Parameters"][name]["AllowedPattern"], value) is not None


class ExistingEventsTable(unittest.TestCase):
    def test_an_existing_table_replaces_every_reference_to_the_table_of_the_stack(self):
        created = sam.resolve(sam.translated())["Resources"]
        existing = sam.resolve(sam.translated(), **sam.EXISTING_EVENTS)["Resources"]
        self.assertIn("EventsTable", created)
        del created["EventsTable"]
        self.assertEqual(existing, with_existing_table(created))
        self.assertNotRegex(repr(existing), r"\bEventsTable\b")

    def test_the_table_and_its_stream_are_given_together_or_not_at_all(self):
        [assertion] = sam.translated()["Rules"]["ExistingEvents"]["Assertions"]
        self.assertTrue(assertion["AssertDescription"])
        for table, stream in itertools.product(*[("", value) for value in sam.EXISTING_EVENTS.values()]):
            values = dict(zip(sam.EXISTING_EVENTS, (table, stream)))
            self.assertIs(sam.evaluate(assertion["Assert"], {}, values), bool(table) == bool(stream), values)

    def test_the_parameters_accept_a_table_name_and_the_arn_of_a_table_stream(self):
        for name, value in sam.EXISTING_EVENTS.items():
            for accepted in ("", value):
                self.assertTrue(parameter_accepts(name, accepted), accepted)
            for refused in (" ", value + " ", "a/b", "arn:aws:dynamodb:eu-west-1:123456789012:table/restored"):
                self.assertFalse(parameter_accepts(name, refused), refused)


class ReadTables(unittest.TestCase):
    def test_a_suffix_gives_all_read_tables_new_names(self):
        unnamed = sam.resources("AWS::DynamoDB::Table")
        named = sam.resources("AWS::DynamoDB::Table", ReadTables="2")
        for name, table in named.items():
            self.assertNotIn("TableName", unnamed[name], name)
            name_of_table = f"${{AWS::StackName}}-${{Stage}}-{kebab(name.removesuffix('Table'))}-${{ReadTables}}"
            added = {} if name in {"EventsTable", *sam.POSITIONS} else {"TableName": {"Fn::Sub": name_of_table}}
            self.assertEqual(table, unnamed[name] | added)

    def test_a_suffix_has_at_most_20_characters_of_table_names(self):
        for accepted in ("", "2", "after-restore", "a" * 20):
            self.assertTrue(parameter_accepts("ReadTables", accepted), accepted)
        for refused in ("A", "a_b", "a b", "a" * 21):
            self.assertFalse(parameter_accepts("ReadTables", refused), refused)


if __name__ == "__main__":
    unittest.main()
