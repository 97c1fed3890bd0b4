package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/setpointhq/setpoint/cli"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// manifest is as much of our manifests as the tests look at.
type manifest struct {
	Kind       string
	Metadata   struct{ Name string }
	StringData map[string]string `yaml:"stringData"`
	Resources  []string
	Spec       struct {
		Replicas int
		MinReady int   `yaml:"minReadySeconds"`
		Deadline int64 `yaml:"progressDeadlineSeconds"`
		// MaxUnavailable and Unhealthy are a budget's.
		MaxUnavailable string `yaml:"maxUnavailable"`
		Unhealthy      string `yaml:"unhealthyPodEvictionPolicy"`
		Strategy       struct {
			RollingUpdate struct {
				MaxSurge       string `yaml:"maxSurge"`
				MaxUnavailable string `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		Ports []struct {
			TargetPort string `yaml:"targetPort"`
		}
	}
}

type pod struct {
	Grace           int   `yaml:"terminationGracePeriodSeconds"`
	Token           *bool `yaml:"automountServiceAccountToken"`
	Links           *bool `yaml:"enableServiceLinks"`
	SecurityContext struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
}

type container struct {
	Image string
	Args  []string
	Env   []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Liveness        probe                              `yaml:"livenessProbe"`
	Readiness       probe                              `yaml:"readinessProbe"`
	Resources       struct{ Limits map[string]string } `yaml:"resources"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func readManifest(t *testing.T, name string) (m manifest) {
	t.Helper()
	text, err := os.ReadFile("kubernetes/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// TestManifestsAreWhatKubernetesReads: Kubernetes ignores fields that it does not know; a misspelt probe is none.
func TestManifestsAreWhatKubernetesReads(t *testing.T) {
	all, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(all) < 6 {
		t.Fatalf("manifests: %v %v", all, err)
	}
	all = slices.DeleteFunc(all, func(s string) bool { return strings.HasSuffix(s, "/kustomization.yaml") })
	if said, err := strictly(t, all...); err != nil {
		t.Errorf("%v:\n%s", err, said)
	}
	text, err := os.ReadFile("kubernetes/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	misspelt := filepath.Join(t.TempDir(), "misspelt.yaml")
	if err := os.WriteFile(misspelt, []byte(strings.Replace(string(text), "readinessProbe", "readynessProbe", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := strictly(t, misspelt); err == nil || !strings.Contains(said, "readynessProbe") {
		t.Errorf("a misspelt field is not found: %v %s", err, said)
	}
	said, err := exec.Command(testkit.Kubectl(t), "kustomize", "kubernetes").CombinedOutput()
	if err != nil || strings.Count(string(said), "\nkind: ")+1 < len(readManifest(t, "kustomization.yaml").Resources) {
		t.Errorf("kubectl kustomize: %v\n%s", err, said)
	}
}

// strictly reads manifests with the types of Kubernetes. They are those of the module that tests build kubectl in: ours has no need of them.
func strictly(t *testing.T, paths ...string) (said string, err error) {
	t.Helper()
	words := []string{"run"}
	for _, path := range append([]string{"testdata/strict/main.go"}, paths...) {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, path)
	}
	c := exec.Command("go", words...)
	c.Dir = "../test/kubectl"
	text, err := c.CombinedOutput()
	return string(text), err
}

func TestPodsAreConfined(t *testing.T) {
	secret := readManifest(t, "secret.yaml")
	for _, name := range []string{"deployment.yaml", "migrate.yaml"} {
		p := readManifest(t, name).Spec.Template.Spec
		c := p.Containers[0]
		for _, check := range []struct {
			holds  bool
			reason string
		}{
			{p.SecurityContext.RunAsNonRoot && p.SecurityContext.RunAsUser == owner, "it runs as who the image is for, and not as root"},
			{p.SecurityContext.SeccompProfile.Type == "RuntimeDefault", "calls that no server needs are not there"},
			{c.SecurityContext.AllowPrivilegeEscalation != nil && !*c.SecurityContext.AllowPrivilegeEscalation, "it gets no more rights than it began with"},
			{c.SecurityContext.ReadOnlyRootFilesystem, "on PostgreSQL it writes no file"},
			{slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}), "it needs no capability"},
			{p.Token != nil && !*p.Token, "it does not speak to Kubernetes"},
			{p.Links != nil && !*p.Links, "a service of this name would set variables SETPOINT_…"},
			{c.Resources.Limits["memory"] != "", "it does not take its neighbours' memory"},
		} {
			if !check.holds {
				t.Errorf("%s: not so: %s", name, check.reason)
			}
		}
		for _, e := range c.Env {
			if ref := e.ValueFrom.SecretKeyRef; e.Name == "SETPOINT_STORE" && (ref.Name != secret.Metadata.Name || secret.StringData[ref.Key] == "") {
				t.Errorf("%s: the database's URL comes from %+v, want a key of the secret", name, ref)
			}
			known := slices.ContainsFunc(cli.Settings, func(s cli.Setting) bool { return s.Variable() == e.Name })
			if strings.HasPrefix(e.Name, "SETPOINT_") && !known {
				t.Errorf("%s: there is no setting for %s", name, e.Name)
			}
		}
	}
}

func TestDeployment(t *testing.T) {
	d := readManifest(t, "deployment.yaml")
	c := d.Spec.Template.Spec.Containers[0]
	if d.Spec.Replicas < 2 {
		t.Errorf("%d replicas: nobody takes over", d.Spec.Replicas)
	}
	if have, least := time.Duration(d.Spec.Template.Spec.Grace)*time.Second, longestStop(t); have <= least {
		t.Errorf("a stop is given %s, and may take %s", have, least)
	}
	if c.Liveness.HTTPGet.Path != "/livez" || c.Readiness.HTTPGet.Path != "/readyz" {
		t.Errorf("probes ask %s and %s: a database that is away makes a replica not ready, and is no reason to restart it", c.Liveness.HTTPGet.Path, c.Readiness.HTTPGet.Path)
	}
	// Every replica that has loaded is ready, so a rollout waits for the new ones before an old one goes, and one that does not come up is reported.
	if r := d.Spec.Strategy.RollingUpdate; r.MaxUnavailable != "0" || r.MaxSurge != "1" {
		t.Errorf("a rollout takes replicas away before their successors are ready: %+v", r)
	}
	if d.Spec.MinReady < 5 {
		t.Errorf("an old replica goes %d s after the new one is ready: want time for it to take its share", d.Spec.MinReady)
	}
	if deadline := time.Duration(d.Spec.Deadline) * time.Second; deadline < 10*time.Minute || deadline > time.Hour {
		t.Errorf("a rollout is reported as failed after %s; want longer than a large database takes to load, and within the hour", deadline)
	}
	if !slices.Contains(readManifest(t, "kustomization.yaml").Resources, "poddisruptionbudget.yaml") {
		t.Error("drains of several machines evict all replicas at once")
	}
	if b := readManifest(t, "poddisruptionbudget.yaml"); b.Spec.MaxUnavailable != "1" || b.Spec.Unhealthy != "AlwaysAllow" {
		t.Errorf("the budget keeps drains waiting for replicas that are not ready, or lets more than one go: %+v", b.Spec)
	}
	port := c.Ports[0]
	if s := readManifest(t, "service.yaml"); port.ContainerPort != 7433 || s.Spec.Ports[0].TargetPort != port.Name || c.Liveness.HTTPGet.Port != port.Name || c.Readiness.HTTPGet.Port != port.Name {
		t.Errorf("service, probes and container do not agree about the port: %+v", c.Ports)
	}
	var limit string
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			limit = strings.TrimSuffix(e.Value, "B")
		}
	}
	soft, hard := resource.MustParse(limit), resource.MustParse(c.Resources.Limits["memory"])
	if soft.Value() >= hard.Value() || soft.Value() < hard.Value()*8/10 {
		t.Errorf("GOMEMLIMIT is %s of %s: want the collector to work harder before the kernel kills, and not long before", limit, &hard)
	}
}

// TestLabels: what selects pods selects those of the deployment, and not those of the job.
func TestLabels(t *testing.T) {
	pods, job := readManifest(t, "deployment.yaml").Spec.Template.Metadata.Labels, readManifest(t, "migrate.yaml").Spec.Template.Metadata.Labels
	for file, path := range map[string]string{
		"deployment.yaml": "$.spec.selector.matchLabels", "service.yaml": "$.spec.selector",
		"networkpolicy.yaml": "$.spec.podSelector.matchLabels", "poddisruptionbudget.yaml": "$.spec.selector.matchLabels",
	} {
		at, err := yaml.PathString(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("kubernetes/" + file)
		if err != nil {
			t.Fatal(err)
		}
		selected := map[string]string{}
		if err := at.Read(strings.NewReader(string(text)), &selected); err != nil || !maps.Equal(selected, pods) || maps.Equal(selected, job) {
			t.Errorf("%s selects %v, want %v (%v)", file, selected, pods, err)
		}
	}
}
