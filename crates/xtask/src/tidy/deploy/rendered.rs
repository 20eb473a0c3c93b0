//! What `kubectl kustomize` makes of the overlays: every pod restricted, bounded, probed, and every name in it there.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::yaml::{items, text};

const NAME: &str = "app.kubernetes.io/name";

/// The documents of an overlay; none without a kubectl, which is said.
fn render(overlay: &str) -> Option<Vec<Value>> {
    let folder = crate::codegen::root().join("deploy/k8s/overlays").join(overlay);
    let output = match Command::new("kubectl").arg("kustomize").arg(&folder).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: kubectl cannot be run ({error}), so `{overlay}` was not rendered");
            return None;
        }
    };
    assert!(output.status.success(), "{overlay}: {}", String::from_utf8_lossy(&output.stderr));
    Some(serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap())
}

fn of_kind<'a>(documents: &'a [Value], kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    documents.iter().filter(move |document| kinds.contains(&document["kind"].as_str().unwrap_or_default()))
}

fn named(document: &Value) -> String {
    format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]))
}

#[test]
fn the_all_in_one_is_one_pod_with_a_volume() {
    let Some(documents) = render("single") else { return };
    let workloads: Vec<String> = of_kind(&documents, &["Deployment", "StatefulSet", "Job"]).map(named).collect();
    assert_eq!(workloads, ["StatefulSet gristmill"]);
    assert_eq!(of_kind(&documents, &["StatefulSet"]).next().unwrap()["spec"]["replicas"], 1);
    well_made(&documents);
}

#[test]
fn with_tls_no_connection_is_without_and_every_pod_has_a_certificate() {
    let Some(documents) = render("per-stage-tls") else { return };
    let shared = of_kind(&documents, &["ConfigMap"]).find(|map| map["data"].get("GRISTMILL_TLS__CERT").is_some());
    let shared = shared.expect("shared settings name certificates");
    assert_eq!(shared["data"]["GRISTMILL_SERVER__INSECURE"], "false");
    for workload in of_kind(&documents, &["Deployment", "Job"]) {
        let who = named(workload);
        let pod = &workload["spec"]["template"]["spec"];
        let name = text(&workload["metadata"]["name"]);
        let secret = format!("{}-tls", name.strip_suffix("-migration").unwrap_or(&name));
        assert!(items(&pod["volumes"]).any(|volume| volume["secret"]["secretName"] == secret), "{who}: {secret}");
        let container = &pod["containers"][0];
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert!(container[probe].get("grpc").is_none(), "{who}: a kubelet's gRPC probe speaks no TLS");
            assert!(workload["kind"] == "Job" || container[probe]["httpGet"]["scheme"] == "HTTPS", "{who}: {probe}");
        }
        // What a settings file says of peers is said again by variables, which have the last word.
        let map = items(&pod["volumes"]).find_map(|volume| volume["configMap"]["name"].as_str()).unwrap();
        let map = of_kind(&documents, &["ConfigMap"]).find(|document| document["metadata"]["name"] == map).unwrap();
        let file: Value = serde_saphyr::from_str(map["data"]["stage.yaml"].as_str().unwrap()).unwrap();
        for peer in file["peers"].as_object().into_iter().flatten().map(|(peer, _)| peer.to_uppercase()) {
            let is = |entry: &Value| {
                entry["name"] == format!("GRISTMILL_PEERS__{peer}") && text(&entry["value"]).starts_with("https://")
            };
            assert!(items(&container["env"]).any(is), "{who}: {peer} is called without TLS");
        }
        assert!(!items(&container["args"]).any(|word| text(word).starts_with("http://")), "{who}");
    }
    well_made(&documents);
}

#[test]
fn every_stage_is_by_itself_and_may_be_disrupted_one_by_one() {
    let Some(documents) = render("per-stage") else { return };
    let stages = crate::tidy::graph::STAGES;
    assert_eq!(of_kind(&documents, &["Deployment"]).count(), stages.len() + 1, "each stage, and the workers");
    assert_eq!(of_kind(&documents, &["Job"]).count(), stages.len(), "a migration each");
    for deployment in of_kind(&documents, &["Deployment"]) {
        let pods = &deployment["spec"]["template"]["metadata"]["labels"];
        let selects = |document: &&Value| document["spec"]["selector"]["matchLabels"][NAME] == pods[NAME];
        assert!(of_kind(&documents, &["PodDisruptionBudget"]).any(|budget| selects(&budget)), "{}", named(deployment));
    }
    for service in of_kind(&documents, &["Service"]) {
        assert_eq!(service["spec"]["clusterIP"], "None", "{}: callers balance by themselves", named(service));
        let has_pods =
            |one: &Value| one["spec"]["template"]["metadata"]["labels"][NAME] == service["spec"]["selector"][NAME];
        assert!(of_kind(&documents, &["Deployment"]).any(has_pods), "{}", named(service));
    }
    well_made(&documents);
}

/// What holds for every pod.
fn well_made(documents: &[Value]) {
    let maps: BTreeSet<String> = of_kind(documents, &["ConfigMap"]).map(|map| text(&map["metadata"]["name"])).collect();
    let accounts: BTreeSet<String> =
        of_kind(documents, &["ServiceAccount"]).map(|account| text(&account["metadata"]["name"])).collect();
    assert_eq!(of_kind(documents, &["Secret"]).count(), 0, "secrets are named, never written");
    for workload in of_kind(documents, &["Deployment", "StatefulSet", "Job"]) {
        let who = named(workload);
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(workload["metadata"]["namespace"], "gristmill", "{who}");
        assert_eq!(pod["enableServiceLinks"], false, "{who}: such variables would be taken for settings");
        assert_eq!(pod["automountServiceAccountToken"], false, "{who}");
        assert!(accounts.contains(&text(&pod["serviceAccountName"])), "{who}: its account");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{who}");
        assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}), "{who}");
        for volume in items(&pod["volumes"]) {
            if let Some(map) = volume.get("configMap") {
                assert!(maps.contains(&text(&map["name"])), "{who}: {map}");
            }
            assert!(volume.get("hostPath").is_none(), "{who}");
        }
        for container in items(&pod["containers"]) {
            let is_server = workload["kind"] != "Job";
            bounded(&who, container, is_server);
            for map in items(&container["envFrom"]) {
                assert!(maps.contains(&text(&map["configMapRef"]["name"])), "{who}: {map}");
            }
            let volumes: BTreeSet<String> = items(&pod["volumes"])
                .chain(items(&workload["spec"]["volumeClaimTemplates"]).map(|claim| &claim["metadata"]))
                .map(|volume| text(&volume["name"]))
                .collect();
            for mount in items(&container["volumeMounts"]) {
                assert!(volumes.contains(&text(&mount["name"])), "{who}: {mount}");
            }
        }
    }
}

fn bounded(who: &str, container: &Value, is_server: bool) {
    let security = &container["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false, "{who}");
    assert_eq!(security["readOnlyRootFilesystem"], true, "{who}");
    assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{who}");
    for bound in ["requests", "limits"] {
        for what in ["cpu", "memory"] {
            assert!(container["resources"][bound].get(what).is_some(), "{who}: {bound} of {what}");
        }
    }
    let image = text(&container["image"]);
    assert!(image.contains(':') && !image.ends_with(":latest"), "{who}: {image}");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container.get(probe).is_some(), is_server, "{who}: {probe}");
    }
    for entry in items(&container["env"]) {
        let name = text(&entry["name"]).to_lowercase();
        assert!(
            !["password", "secret", "key"].iter().any(|word| name.ends_with(word)),
            "{who}: {name} by reference only"
        );
    }
}
