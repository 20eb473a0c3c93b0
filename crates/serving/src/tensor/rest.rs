//! Tensors as the REST bodies carry them.

use gristmill_model::{Predictions, Task};
use gristmill_types::Limits;
use serde_json::{Value, json};

use super::{Data, Datatype, Tensor, labels, outputs};
use crate::ServingError;
use crate::deployed::Deployed;
use crate::json::{Json, Scalar};
use crate::rows::short;

/// A request for inference.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The caller's name for it, echoed.
    pub id: Option<String>,
    pub tensors: Vec<Tensor>,
    /// Names of the outputs asked for; empty for all.
    pub outputs: Vec<String>,
}

/// One input before its elements are read: they may stand before their datatype.
#[derive(Default)]
struct Input<'a> {
    name: Option<String>,
    datatype: Option<String>,
    shape: Option<Vec<i64>>,
    data: Option<&'a str>,
}

impl Request {
    pub(crate) fn read(body: &[u8]) -> Result<Self, ServingError> {
        let mut request = Self::default();
        let mut inputs = None;
        let mut json = Json::new(body)?;
        json.object(|json, key| {
            match key.as_ref() {
                "id" => request.id = Some(text(json, "id")?),
                "inputs" => inputs = Some(read_inputs(json)?),
                "outputs" => request.outputs = read_outputs(json)?,
                "parameters" => drop(json.raw()?),
                _ => return Err(ServingError::request(short(&key), "is not a field of an inference request")),
            }
            Ok(())
        })?;
        json.end()?;
        let inputs = inputs.ok_or_else(|| ServingError::request("inputs", "is missing: send one tensor per input"))?;
        request.tensors =
            inputs.into_iter().enumerate().map(|(index, input)| input.tensor(index)).collect::<Result<_, _>>()?;
        Ok(request)
    }
}

fn read_inputs<'a>(json: &mut Json<'a>) -> Result<Vec<Input<'a>>, ServingError> {
    let mut inputs = Vec::new();
    json.array(|json| {
        let at = format!("inputs[{}]", inputs.len());
        if inputs.len() == Limits::DEFAULT.columns {
            return Err(ServingError::Limit { what: "inputs", limit: Limits::DEFAULT.columns });
        }
        let mut input = Input::default();
        json.object(|json, key| {
            match key.as_ref() {
                "name" => input.name = Some(text(json, &at)?),
                "datatype" => input.datatype = Some(text(json, &at)?),
                "shape" => input.shape = Some(shape(json, &at)?),
                "data" => input.data = Some(json.raw()?),
                "parameters" => drop(json.raw()?),
                _ => return Err(ServingError::request(at.clone(), format!("has an unknown field `{}`", short(&key)))),
            }
            Ok(())
        })?;
        inputs.push(input);
        Ok(())
    })?;
    Ok(inputs)
}

fn read_outputs(json: &mut Json<'_>) -> Result<Vec<String>, ServingError> {
    let mut names = Vec::new();
    json.array(|json| {
        json.object(|json, key| {
            if key == "name" {
                names.push(text(json, "outputs")?);
            } else {
                json.raw()?;
            }
            Ok::<_, ServingError>(())
        })
    })?;
    Ok(names)
}

fn text(json: &mut Json<'_>, at: &str) -> Result<String, ServingError> {
    match json.scalar()? {
        Scalar::Text(text) => Ok(text.into_owned()),
        _ => Err(ServingError::request(at, "has something else where a text is expected")),
    }
}

fn shape(json: &mut Json<'_>, at: &str) -> Result<Vec<i64>, ServingError> {
    let mut shape = Vec::new();
    json.array(|json| {
        let size = match json.scalar()? {
            Scalar::Number(text) => text.parse().ok(),
            _ => None,
        };
        shape.push(size.ok_or_else(|| ServingError::request(format!("{at}.shape"), "is not a list of whole numbers"))?);
        Ok::<_, ServingError>(())
    })?;
    Ok(shape)
}

impl Input<'_> {
    fn tensor(self, index: usize) -> Result<Tensor, ServingError> {
        let at = format!("inputs[{index}]");
        let missing = |field: &str| ServingError::request(format!("{at}.{field}"), "is missing");
        let datatype = Datatype::read(&self.datatype.ok_or_else(|| missing("datatype"))?, &at)?;
        let shape = self.shape.ok_or_else(|| missing("shape"))?;
        let mut json = Json::new(self.data.ok_or_else(|| missing("data"))?.as_bytes())?;
        let mut data = match datatype {
            Datatype::Bool => Data::Bool(Vec::new()),
            Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 => Data::Float(Vec::new()),
            Datatype::Bytes => Data::Text(Vec::new()),
            _ => Data::Int(Vec::new()),
        };
        elements(&mut json, &mut data, &at, datatype)?;
        Ok(Tensor { name: self.name.ok_or_else(|| missing("name"))?, shape, data })
    }
}

/// Reads elements, nested as deeply as the caller likes (the reader of the body has bounded the depth).
fn elements(json: &mut Json<'_>, data: &mut Data, at: &str, datatype: Datatype) -> Result<(), ServingError> {
    json.array(|json| {
        if json.peek()? == b'[' {
            return elements(json, data, at, datatype);
        }
        if push(data, json.scalar()?) {
            return Ok(());
        }
        let problem = format!("element {} is not of {}", data.len(), datatype.as_str());
        Err(ServingError::request(format!("{at}.data"), problem))
    })
}

/// Adds an element; false if it is of another type. Beyond the protocol, as dataframes need it: null is a
/// missing value.
fn push(data: &mut Data, scalar: Scalar<'_>) -> bool {
    fn add<T>(values: &mut Vec<Option<T>>, missing: bool, value: Option<T>) -> bool {
        let fits = missing || value.is_some();
        if fits {
            values.push(value);
        }
        fits
    }
    let missing = scalar == Scalar::Null;
    let number = if let Scalar::Number(text) = scalar { Some(text) } else { None };
    match data {
        Data::Bool(values) => add(values, missing, if let Scalar::Bool(value) = scalar { Some(value) } else { None }),
        Data::Int(values) => add(values, missing, number.and_then(|text| text.parse().ok())),
        Data::Float(values) => {
            let value = number.and_then(|text| text.parse().ok());
            add(values, missing, value.filter(|value: &f64| value.is_finite()))
        }
        Data::Text(values) => {
            add(values, missing, if let Scalar::Text(text) = scalar { Some(text.into_owned()) } else { None })
        }
    }
}

/// The answer's body.
pub(crate) fn write_answer(
    deployed: &Deployed,
    request: &Request,
    predictions: &Predictions,
    first: u64,
) -> Result<Vec<u8>, ServingError> {
    let rows = predictions.rows();
    let mut tensors = Vec::new();
    for name in outputs(&request.outputs, deployed.task())? {
        tensors.push(match (name, deployed.task()) {
            ("probability", _) => {
                output(name, Datatype::Fp64, &[rows, predictions.labels.len()], json!(predictions.probabilities))
            }
            ("prediction_id", _) => {
                let ids = (0..rows as u64).map(|row| deployed.log.ids.text(first + row));
                output(name, Datatype::Bytes, &[rows], ids.collect())
            }
            (_, Task::Regression) => output(name, Datatype::Fp64, &[rows], json!(predictions.values)),
            _ => output(name, Datatype::Bytes, &[rows], labels(predictions).collect()),
        });
    }
    let mut answer = json!({
        "model_name": deployed.name,
        "model_version": deployed.version.to_string(),
        "outputs": tensors,
    });
    if let (Some(id), Some(fields)) = (&request.id, answer.as_object_mut()) {
        fields.insert("id".into(), json!(id));
    }
    serde_json::to_vec(&answer).map_err(|_| ServingError::Thread)
}

fn output(name: &str, datatype: Datatype, shape: &[usize], data: Value) -> Value {
    json!({"name": name, "datatype": datatype.as_str(), "shape": shape, "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_read_in_any_order_of_fields_and_any_nesting() {
        let body = br#"{"id": "7", "inputs": [
            {"data": [[1.5, null], [3, 4]], "shape": [2, 2], "datatype": "FP64", "name": "x", "parameters": {"a": [1]}},
            {"name": "n", "datatype": "INT64", "shape": [1], "data": [9007199254740993]}],
            "outputs": [{"name": "prediction", "parameters": {}}]}"#;
        let request = Request::read(body).unwrap();
        assert_eq!((request.id.as_deref(), request.outputs.as_slice()), (Some("7"), &["prediction".to_owned()][..]));
        assert_eq!(request.tensors[0].data, Data::Float(vec![Some(1.5), None, Some(3.0), Some(4.0)]));
        assert_eq!(request.tensors[1].data, Data::Int(vec![Some(9_007_199_254_740_993)]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let one = |input: &str| Request::read(format!("{{\"inputs\": [{input}]}}").as_bytes()).unwrap_err().to_string();
        let cases = [
            (r#"{"name": "x", "shape": [1], "data": [1]}"#, "inputs[0].datatype: is missing"),
            (r#"{"name": "x", "shape": [1], "datatype": "FP65", "data": [1]}"#, "`FP65` is not a datatype"),
            (r#"{"name": "x", "shape": [1], "datatype": "INT64", "data": [1.5]}"#, "element 0 is not of INT64"),
            (r#"{"name": "x", "shape": ["a"], "datatype": "INT64", "data": [1]}"#, "not a list of whole numbers"),
            (r#"{"name": "x", "shape": [1], "datatype": "BYTES", "data": [true]}"#, "element 0 is not of BYTES"),
            (r#"{"nome": "x"}"#, "unknown field `nome`"),
        ];
        for (input, expected) in cases {
            let error = one(input);
            assert!(error.contains(expected), "{input}: {error}");
        }
        assert!(Request::read(b"{}").unwrap_err().to_string().contains("inputs: is missing"));
    }
}
