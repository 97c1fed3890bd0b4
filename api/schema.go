package api

import (
	"encoding/json"

	"github.com/setpointhq/setpoint/resource"
)

// kindSchema describes the objects of a kind, in the dialect that clients read.
func kindSchema(d *resource.Definition) tree {
	text, err := d.Schema()
	var s tree
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		panic("api: the schema of a kind that was registered: " + err.Error())
	}
	if properties, ok := s["properties"].(tree); ok {
		properties["metadata"] = tree{
			"description": "Name, labels and the like, the same for all kinds.",
			"default":     tree{},
			"allOf":       []any{ref(metadataName)},
		}
	}
	return s
}

func listSchema(d *resource.Definition) tree {
	return tree{
		"type":                            "object",
		"required":                        []any{"items"},
		"x-kubernetes-group-version-kind": []any{gvk(d, d.Kind+"List")},
		"properties": tree{
			"apiVersion": tree{"type": "string"}, "kind": tree{"type": "string"}, "metadata": tree{"type": "object"},
			"items": tree{"type": "array", "items": ref(schemaName(d, d.Kind))},
		},
	}
}

// metadataName is what the schema of metadata is called by convention: tools look for it by this name.
const metadataName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

func metadataSchema() tree {
	text, texts := tree{"type": "string"}, tree{"type": "object", "additionalProperties": tree{"type": "string"}}
	at, count := tree{"type": "string", "format": "date-time"}, tree{"type": "integer", "format": "int64"}
	return tree{"type": "object", "description": "ObjectMeta is what every object has.", "properties": tree{
		"name": text, "generateName": text, "namespace": text, "uid": text, "resourceVersion": text, "selfLink": text,
		"generation": count, "creationTimestamp": at, "deletionTimestamp": at, "deletionGracePeriodSeconds": count,
		"labels": texts, "annotations": texts,
		"finalizers": tree{"type": "array", "items": text},
		"ownerReferences": tree{"type": "array", "items": tree{"type": "object", "required": []any{"apiVersion", "kind", "name", "uid"}, "properties": tree{
			"apiVersion": text, "kind": text, "name": text, "uid": text, "controller": tree{"type": "boolean"}, "blockOwnerDeletion": tree{"type": "boolean"},
		}}},
		"managedFields": tree{"type": "array", "items": tree{"type": "object"}},
	}}
}
