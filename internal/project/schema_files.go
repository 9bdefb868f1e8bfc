package project

import (
	"reflect"
	"slices"
)

// actionKeys are the keys of a stage that say what it does: exactly one is
// given.
func actionKeys() []string {
	var keys []string
	for _, f := range fieldsOf(reflect.TypeFor[Stage]()) {
		if f.typ.Kind() == reflect.Pointer && f.typ.Elem().Kind() == reflect.Struct {
			keys = append(keys, f.key)
		}
	}
	return keys
}

func stageActions() []object {
	var forms []object
	for _, key := range actionKeys() {
		forms = append(forms, object{"required": []string{key}})
	}
	return forms
}

// topology is the schema of one document of a topology file. Without the key
// kind it must fit one of the kinds; the folder, which says which, is not seen
// by a schema.
func (b *schemas) topology(v Vocabulary) object {
	common := b.structure(reflect.TypeFor[commonKeys]())["properties"].(object)
	common["name"] = object{"type": []string{"string", "number", "boolean"}, "pattern": name.String(), "description": common["name"].(object)["description"]}
	common["each"] = object{
		"anyOf":       []object{{"type": "object", "propertyNames": object{"pattern": name.String()}}, {"type": "array", "items": text()}, {"type": "string", "pattern": referencePattern + `|^zones\([0-9]+\)$`}},
		"description": common["each"].(object)["description"],
	}
	definitions, any := object{}, []object{}
	branches := []object{}
	for _, k := range v.Resources {
		schema := b.structure(reflect.TypeOf(k.New()).Elem())
		properties := schema["properties"].(object)
		for key, s := range common {
			if _, own := properties[key]; !own && (key != "rollout" || k.Rolls) {
				properties[key] = s
			}
		}
		properties["kind"] = object{"const": k.Name, "description": k.Doc}
		schema["description"] = k.Doc
		schema["not"] = object{"required": []string{"count", "each"}}
		unlessAdopted(schema)
		definitions[k.Name] = schema
		ref := object{"$ref": "#/$defs/" + k.Name}
		any = append(any, ref)
		branches = append(branches, object{"if": object{"properties": object{"kind": object{"const": k.Name}}, "required": []string{"kind"}}, "then": ref})
	}
	kinds := kindNames(v.Resources)
	return object{
		"type":       "object",
		"$defs":      definitions,
		"properties": object{"kind": object{"enum": kinds, "description": "Kind of the resource; by default the name of the folder below topology/."}},
		"allOf":      branches,
		"if":         object{"not": object{"required": []string{"kind"}}},
		"then":       object{"anyOf": any},
	}
}

// image is the schema of a recipe: Goldline's own form or a Packer template.
func (b *schemas) image(v Vocabulary) object {
	w := &schemas{weak: true}
	recipe := w.structure(reflect.TypeFor[Image]())
	properties := recipe["properties"].(object)
	properties["provisioners"] = object{"type": "array", "items": object{"$ref": "#/$defs/provisioner"}, "description": "The steps, in their order."}

	builder := w.structure(reflect.TypeFor[Image](), "variables", "sensitive_variables", "provisioners")
	keys := builder["properties"].(object)
	keys["type"] = object{"const": "amazon-ebs"}
	keys["name"] = object{"type": "string", "pattern": name.String(), "description": "Name of the image, where the template has several builders."}
	builder["required"] = []string{"type"}
	for _, o := range []object{keys, properties} {
		for _, key := range slices.Concat(credentialKeys, unsupportedKeys) {
			o[key] = object{"enum": harmlessValues(key), "description": "Packer's key; not supported yet."}
		}
	}
	root := w.structure(reflect.TypeFor[templateFile]())
	parts := root["properties"].(object)
	parts["builders"] = object{"type": "array", "minItems": 1, "items": object{"$ref": "#/$defs/builder"}}
	parts["provisioners"] = properties["provisioners"]
	after := object{"$ref": "#/$defs/postProcessors"}
	parts["post-processors"] = after
	for _, key := range postKeys {
		properties[key] = after
	}
	root["patternProperties"] = object{"^_": true}
	definitions := object{
		"recipe": recipe, "template": root, "builder": builder, "provisioner": w.steps(v.Provisioners, "The kind of provisioner."),
		"postProcessors": object{"type": "array", "maxItems": 0},
	}
	if len(v.PostProcessors) > 0 {
		one := object{"anyOf": []object{{"enum": kindNames(v.PostProcessors)}, {"$ref": "#/$defs/postProcessor"}}}
		definitions["postProcessor"] = w.steps(v.PostProcessors, "The kind of post-processor.", "keep_input_artifact", "name")
		definitions["postProcessors"] = object{
			"type": "array", "items": object{"anyOf": []object{one, {"type": "array", "items": one}}},
			"description": "What is done with a build: chains, each of which begins with the build.",
		}
	}
	return object{
		"type":  "object",
		"$defs": definitions,
		"if":    object{"required": []string{"builders"}},
		"then":  object{"$ref": "#/$defs/template"},
		"else":  object{"$ref": "#/$defs/recipe"},
	}
}

// harmlessValues are those of a key without support that change nothing.
func harmlessValues(key string) []any {
	values := []any{nil, "", false, "false", 0, "0", []any{}, object{}}
	for _, h := range list(harmless[key]) {
		values = append(values, h)
		if h == "true" {
			values = append(values, true)
		}
	}
	return values
}

// steps is the schema of provisioners or post-processors; free are keys of no
// type.
func (b *schemas) steps(kinds []Kind, doc string, free ...string) object {
	var branches []object
	for _, k := range kinds {
		schema := b.structure(reflect.TypeOf(k.New()).Elem())
		properties := schema["properties"].(object)
		for key, s := range b.structure(reflect.TypeFor[stepKeys]())["properties"].(object) {
			properties[key] = s
		}
		for _, key := range free {
			properties[key] = object{}
		}
		properties["override"] = object{"type": "object", "additionalProperties": object{"type": "object"}, "description": "Other options for one of the file's images."}
		branches = append(branches, object{"if": object{"properties": object{"type": object{"const": k.Name}}}, "then": schema})
	}
	return object{
		"type": "object", "required": []string{"type"}, "allOf": branches,
		"properties": object{"type": object{"enum": kindNames(kinds), "description": doc}},
	}
}

// unlessAdopted frees a definition that adopts from what others must give.
func unlessAdopted(schema object) {
	adopted := object{"required": []string{"adopt"}}
	if required, ok := schema["required"]; ok {
		delete(schema, "required")
		schema["anyOf"] = []object{adopted, {"required": required}}
	}
	if list, ok := schema["allOf"].([]object); ok {
		for _, rule := range list {
			if either, ok := rule["anyOf"].([]object); ok {
				rule["anyOf"] = append(either, adopted)
			}
		}
	}
}
