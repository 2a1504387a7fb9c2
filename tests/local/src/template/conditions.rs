//! Conditions of a template, with the defaults of its parameters.

use serde_yaml_ng::{
    Mapping, Value,
    value::{Tag, TaggedValue},
};

use super::node::Node;

/// Evaluates the conditions of a template. Returns its parameters, its globals and its resources of these types, with
/// the chosen branch in place of each `!If`. A resource whose condition does not hold is left out.
///
/// The conditions of other resources are not evaluated, so they may use functions that are not supported here.
///
/// # Errors
/// Fails if a condition is missing or cannot be evaluated. The error begins with the path in the template.
pub(super) fn resolve(template: &Node<'_>, types: &[&str]) -> Result<Value, String> {
    let conditions = Conditions { parameters: template.get("Parameters"), declared: template.get("Conditions") };
    let mut resources = Mapping::new();
    for (id, resource) in template.need("Resources")?.entries() {
        let is_read = types.contains(&resource.need("Type")?.text()?.as_str());
        if is_read && conditions.creates(&resource)? {
            resources.insert(id.into(), conditions.choose(&resource)?);
        }
    }
    let mut resolved = Mapping::new();
    if let Some(parameters) = &conditions.parameters {
        resolved.insert("Parameters".into(), parameters.value.clone());
    }
    if let Some(globals) = template.get("Globals") {
        resolved.insert("Globals".into(), conditions.choose(&globals)?);
    }
    resolved.insert("Resources".into(), resources.into());
    Ok(resolved.into())
}

struct Conditions<'a> {
    parameters: Option<Node<'a>>,
    /// The section `Conditions`.
    declared: Option<Node<'a>>,
}

impl Conditions<'_> {
    /// Returns true if CloudFormation creates this resource.
    fn creates(&self, resource: &Node<'_>) -> Result<bool, String> {
        resource.get("Condition").map_or(Ok(true), |condition| self.named(&condition, &[]))
    }

    /// Returns the value with the chosen branch in place of each `!If`. Entries without a value (`AWS::NoValue`) are
    /// left out.
    fn choose(&self, node: &Node<'_>) -> Result<Value, String> {
        match node.value {
            Value::Tagged(function) if function.tag == "If" => {
                let [condition, then, otherwise] = arguments(node)?;
                self.choose(if self.named(&condition, &[])? { &then } else { &otherwise })
            }
            Value::Tagged(function) => {
                let value = self.choose(&Node { value: &function.value, path: node.path.clone() })?;
                Ok(Value::Tagged(Box::new(TaggedValue { tag: function.tag.clone(), value })))
            }
            Value::Sequence(_) => {
                let chosen = node.list(|element| self.choose(element))?;
                Ok(chosen.into_iter().filter(has_value).collect::<Vec<_>>().into())
            }
            Value::Mapping(_) => {
                let mut chosen = Mapping::new();
                for (name, entry) in node.entries() {
                    let value = self.choose(&entry)?;
                    if has_value(&value) {
                        chosen.insert(name.into(), value);
                    }
                }
                Ok(chosen.into())
            }
            scalar => Ok(scalar.clone()),
        }
    }

    /// Evaluates the condition that `reference` names. `open` has the names of the conditions that are being evaluated.
    fn named(&self, reference: &Node<'_>, open: &[&str]) -> Result<bool, String> {
        let name = reference.text()?;
        let path = &reference.path;
        if open.contains(&name.as_str()) {
            return Err(format!("{path}: the condition {name} depends on itself"));
        }
        let condition = self.declared.as_ref().and_then(|conditions| conditions.get(&name));
        let condition = condition.ok_or_else(|| format!("{path}: the template has no condition {name}"))?;
        self.holds(&condition, &[open, &[&name]].concat())
    }

    fn holds(&self, condition: &Node<'_>, open: &[&str]) -> Result<bool, String> {
        let Value::Tagged(function) = condition.value else {
            return Err(format!("{}: must be a function such as !Equals", condition.path));
        };
        let operands = || condition.list(|operand| self.holds(operand, open));
        match function.tag.to_string().as_str() {
            "!Equals" => {
                let [left, right] = arguments(condition)?;
                Ok(self.operand(&left)? == self.operand(&right)?)
            }
            "!Not" => {
                let [negated] = arguments(condition)?;
                Ok(!self.holds(&negated, open)?)
            }
            "!And" => Ok(operands()?.into_iter().all(|holds| holds)),
            "!Or" => Ok(operands()?.into_iter().any(|holds| holds)),
            "!Condition" => self.named(condition, open),
            _ => Err(unsupported(&function.tag, condition)),
        }
    }

    /// Returns the text of a literal, or the default of the parameter that a `!Ref` names.
    fn operand(&self, operand: &Node<'_>) -> Result<String, String> {
        match operand.value {
            Value::Tagged(function) if function.tag == "Ref" => {
                let name = operand.text()?;
                let parameter = self.parameters.as_ref().and_then(|parameters| parameters.get(&name));
                let default = parameter.and_then(|parameter| parameter.get("Default"));
                default.ok_or_else(|| format!("{}: no parameter {name} with a default", operand.path))?.text()
            }
            Value::Tagged(function) => Err(unsupported(&function.tag, operand)),
            _ => operand.text(),
        }
    }
}

/// The arguments of a function that has a fixed number of them.
fn arguments<'a, const COUNT: usize>(function: &Node<'a>) -> Result<[Node<'a>; COUNT], String> {
    let arguments = function.list(|argument| Ok(Node { value: argument.value, path: argument.path.clone() }))?;
    arguments.try_into().map_err(|_| format!("{}: must have {COUNT} arguments", function.path))
}

fn has_value(value: &Value) -> bool {
    !matches!(value, Value::Tagged(function) if function.tag == "Ref" && function.value == "AWS::NoValue")
}

fn unsupported(function: &Tag, node: &Node<'_>) -> String {
    format!("{}: the local stack does not support {function} in a condition", node.path)
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    const TEMPLATE: &str = r#"
Parameters:
  ExistingTable: { Type: String, Default: "" }
  Stage: { Type: String, Default: prod }
  Issuer: { Type: String }
Conditions:
  CreatesTable: !Equals [!Ref ExistingTable, ""]
  Tested: «condition»
  Regional: !Equals [!Ref AWS::Region, eu-west-1]
Globals:
  Function: { Timeout: !If [CreatesTable, 10, 20] }
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Condition: CreatesTable
    Properties: &table
      AttributeDefinitions: []
      KeySchema: []
  OtherTable:
    Type: AWS::DynamoDB::Table
    Condition: Tested
    Properties: *table
  Topic:
    Type: AWS::SNS::Topic
    Condition: Regional
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - Action: dynamodb:Query
                Resource:
                  - !If [CreatesTable, !GetAtt Table.Arn, !Sub "arn:${AWS::Partition}:table/${ExistingTable}"]
                  - !Sub ["${Arn}/index/by-owner", { Arn: !If [CreatesTable, !GetAtt Table.Arn, none] }]
                  - !If [Tested, !GetAtt OtherTable.Arn, !Ref AWS::NoValue]
  Function:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: projector } }
    Properties:
      Role: !GetAtt Role.Arn
      Environment:
        Variables:
          TABLE: !If [CreatesTable, !Ref Table, !Ref ExistingTable]
          TESTED: !If [Tested, !If [CreatesTable, both, one], !Ref AWS::NoValue]
      Events:
        Commits:
          Type: DynamoDB
          Properties:
            Stream: !If [CreatesTable, !GetAtt Table.StreamArn, !Ref ExistingStreamArn]
"#;

    fn template(condition: &str) -> Result<Template, String> {
        Template::parse(&TEMPLATE.replace("«condition»", condition))
    }

    #[test]
    fn a_branch_is_chosen_wherever_a_value_is_read() {
        let template = template("!Not [!Condition CreatesTable]").unwrap();
        let function = &template.functions["projector"];
        assert_eq!(function.environment.iter().collect::<Vec<_>>(), [(&"TABLE".to_owned(), &"Table".to_owned())]);
        assert_eq!(function.timeout.as_secs(), 10);
        assert_eq!(function.mappings[0].table, "Table");
        let resources: Vec<_> = function.grants.iter().map(|(_, resource)| resource.as_str()).collect();
        assert_eq!(resources, ["${Arn}/index/by-owner", "Table.Arn"]);
    }

    #[test]
    fn a_resource_whose_condition_does_not_hold_is_left_out() {
        let tables = |condition| template(condition).unwrap().tables.into_keys().collect::<Vec<_>>();
        assert_eq!(tables("!Condition CreatesTable"), ["OtherTable", "Table"]);
        assert_eq!(tables("!Not [!Condition CreatesTable]"), ["Table"]);
    }

    #[test]
    fn conditions_compare_literals_with_the_defaults_of_parameters() {
        for (condition, holds) in [
            ("!Equals [!Ref Stage, prod]", true),
            ("!Equals [!Ref Stage, test]", false),
            ("!Equals [1, '1']", true),
            ("!Not [!Equals [!Ref Stage, prod]]", false),
            ("!And [!Condition CreatesTable, !Equals [!Ref Stage, prod]]", true),
            ("!And [!Condition CreatesTable, !Equals [!Ref Stage, test]]", false),
            ("!Or [!Not [!Condition CreatesTable], !Equals [!Ref Stage, prod]]", true),
            ("!Or [!Not [!Condition CreatesTable], !Equals [!Ref Stage, test]]", false),
        ] {
            let environment = &template(condition).unwrap().functions["projector"].environment;
            assert_eq!(environment.get("TESTED").map(String::as_str), holds.then_some("both"), "{condition}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_evaluated_is_an_error_with_its_path() {
        for (condition, error) in [
            ("!Equals [!Sub a, b]", "/Conditions/Tested/0: the local stack does not support !Sub in a condition"),
            (
                "!Not [!Contains [[a], b]]",
                "/Conditions/Tested/0: the local stack does not support !Contains in a condition",
            ),
            ("!Equals [!Ref Issuer, a]", "/Conditions/Tested/0: no parameter Issuer with a default"),
            ("!Equals [a, !Ref AWS::Region]", "/Conditions/Tested/1: no parameter AWS::Region with a default"),
            ("!Equals [a]", "/Conditions/Tested: must have 2 arguments"),
            ("!Not [a]", "/Conditions/Tested/0: must be a function such as !Equals"),
            ("!Condition Unknown", "/Conditions/Tested: the template has no condition Unknown"),
            ("!Not [!Condition Tested]", "/Conditions/Tested/0: the condition Tested depends on itself"),
        ] {
            assert_eq!(template(condition).unwrap_err(), error);
        }
    }
}
