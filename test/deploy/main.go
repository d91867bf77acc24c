// Reads deploy/ as the programs do that it is for: the loader of Docker Compose, kustomize, and the types of Kubernetes and of
// the Prometheus operator. A field that they do not know, or a value of another type, is a fault. Needs no daemon and no cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	folder := os.Args[1]
	failed := false
	check := func(what string, err error) {
		if err != nil {
			failed = true
			fmt.Printf("FAULT %s: %v\n", what, err)
		} else {
			fmt.Printf("ok    %s\n", what)
		}
	}
	for _, file := range []string{"compose.yaml", "../compose.yaml"} {
		check(file, loadCompose(filepath.Join(folder, file)))
	}
	decode := strictDecoder()
	manifests := filepath.Join(folder, "kubernetes")
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), manifests)
	check("kustomization.yaml", err)
	if err == nil {
		for _, resource := range built.Resources() {
			text, err := resource.AsYAML()
			if err == nil {
				err = decode(text)
			}
			check(fmt.Sprintf("%s %s", resource.GetKind(), resource.GetName()), err)
		}
	}
	for _, file := range []string{"secret.example.yaml", "service-monitor.yaml"} {
		text, err := os.ReadFile(filepath.Join(manifests, file))
		if err == nil {
			err = decode(text)
		}
		check(file, err)
	}
	if failed {
		os.Exit(1)
	}
}

// loadCompose does what `docker compose config` does.
func loadCompose(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv([]string{"SLUICE_KEYS=me:key", "TICKET_SECRET=secret"}))
	if err != nil {
		return err
	}
	_, err = options.LoadProject(context.Background())
	return err
}

// strictDecoder refuses unknown and repeated fields.
func strictDecoder() func(text []byte) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	serializer := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	return func(text []byte) error {
		_, _, err := serializer.Decode(text, nil, nil)
		return err
	}
}
