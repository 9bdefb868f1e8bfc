package emulator

import (
	_ "embed"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// protocol is how a service's requests and answers look on the wire.
type protocol string

const (
	protocolEC2   protocol = "ec2"   // form in, XML out, lists flattened
	protocolQuery protocol = "query" // form in, XML out, lists of member
	protocolJSON  protocol = "json"  // JSON 1.1 both ways
	protocolREST  protocol = "rest"  // path, query, headers and an XML body
)

// The tables hold what no rule gives; wiregen writes them from the services'
// public models.
var (
	//go:embed wire/cloudformation.txt
	stackTable string
	//go:embed wire/ec2.txt
	ec2Table string
	//go:embed wire/iam.txt
	iamTable string
	//go:embed wire/kms.txt
	kmsTable string
	//go:embed wire/ssm.txt
	ssmTable string
	//go:embed wire/elasticloadbalancing.txt
	elbTable string
	//go:embed wire/autoscaling.txt
	scalingTable string
	//go:embed wire/route53.txt
	route53Table string
	//go:embed wire/sts.txt
	stsTable string
)

// wire knows the names of a service's shapes on the wire. It works from the
// SDK's Go types: a rule gives most names, a generated table the others.
type wire struct {
	protocol  protocol
	namespace string // of the answers' XML
	in        map[string]string
	out       map[string]string
	item      map[string]string
	required  map[string]bool
	places    map[string]place // of what is not in a body, for REST
	routes    []route
	inputs    sync.Map // reflect.Type to map[string]int: field by name in requests
	enums     sync.Map // reflect.Type to map[string]bool
}

func newWire(p protocol, namespace, table string) (*wire, error) {
	w := &wire{
		protocol: p, namespace: namespace,
		in: map[string]string{}, out: map[string]string{}, item: map[string]string{}, required: map[string]bool{},
		places: map[string]place{},
	}
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("table of wire names: %q has not three words", strings.TrimSpace(line))
		}
		key := words[0] + "." + words[1]
		kind, name, _ := strings.Cut(words[2], "=")
		switch kind {
		case "in":
			w.in[key] = name
		case "out":
			w.out[key] = name
		case "item":
			w.item[key] = name
		case "required":
			w.required[key] = true
		case inPath, inQuery, inHeader:
			w.places[key] = place{kind, name}
		case "route":
			r, err := newRoute(words[0], words[1], name)
			if err != nil {
				return nil, err
			}
			w.routes = append(w.routes, r)
		default:
			return nil, fmt.Errorf("table of wire names: unknown entry %q", words[2])
		}
	}
	return w, nil
}

// newWires returns the wire of each service, by signing name.
func newWires() (map[string]*wire, error) {
	wires := map[string]*wire{}
	for _, s := range []struct {
		service   string
		protocol  protocol
		namespace string
		table     string
	}{
		{"ec2", protocolEC2, "http://ec2.amazonaws.com/doc/2016-11-15/", ec2Table},
		{elbName, protocolQuery, "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", elbTable},
		{scalingName, protocolQuery, "http://autoscaling.amazonaws.com/doc/2011-01-01/", scalingTable},
		{stackName, protocolQuery, "http://cloudformation.amazonaws.com/doc/2010-05-15/", stackTable},
		{"sts", protocolQuery, "https://sts.amazonaws.com/doc/2011-06-15/", stsTable},
		{"iam", protocolQuery, "https://iam.amazonaws.com/doc/2010-05-08/", iamTable},
		{route53Name, protocolREST, "https://route53.amazonaws.com/doc/2013-04-01/", route53Table},
		{"ssm", protocolJSON, "", ssmTable},
		{kmsName, protocolJSON, "", kmsTable},
	} {
		w, err := newWire(s.protocol, s.namespace, s.table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.service, err)
		}
		wires[s.service] = w
	}
	return wires, nil
}

// carried says whether a field of an SDK struct is part of the message.
func carried(f reflect.StructField) bool {
	return f.IsExported() && f.Name != "ResultMetadata"
}

// isList says whether a type is a list on the wire; bytes are one value.
func isList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8
}

// inName is a field's name in requests.
func (w *wire) inName(owner reflect.Type, f reflect.StructField) string {
	if name, ok := w.in[owner.Name()+"."+f.Name]; ok {
		return name
	}
	if w.protocol == protocolEC2 && isList(f.Type) {
		return strings.TrimSuffix(f.Name, "s")
	}
	return f.Name
}

// outName is a field's name in answers.
func (w *wire) outName(owner reflect.Type, f reflect.StructField) string {
	if name, ok := w.out[owner.Name()+"."+f.Name]; ok {
		return name
	}
	if w.protocol != protocolEC2 {
		return f.Name
	}
	name := f.Name
	if isList(f.Type) {
		name = strings.TrimSuffix(name, "s") + "Set"
	}
	return lowerFirst(name)
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

// itemName is the name of each element of a list in answers.
func (w *wire) itemName(owner reflect.Type, f reflect.StructField) string {
	if w.protocol == protocolQuery {
		return "member"
	}
	if name, ok := w.item[owner.Name()+"."+f.Name]; ok {
		return name
	}
	return "item"
}

// fields finds an input struct's fields by their names in requests.
func (w *wire) fields(t reflect.Type) map[string]int {
	if known, ok := w.inputs.Load(t); ok {
		return known.(map[string]int)
	}
	fields := map[string]int{}
	for i := range t.NumField() {
		if f := t.Field(i); carried(f) && w.places[t.Name()+"."+f.Name].kind == "" {
			fields[w.inName(t, f)] = i
		}
	}
	w.inputs.Store(t, fields)
	return fields
}

// missing lists the request names of required members that are not there.
func (w *wire) missing(v reflect.Value) []string {
	var names []string
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if w.required[t.Name()+"."+f.Name] && v.Field(i).IsZero() {
			names = append(names, w.inName(t, f))
		}
	}
	return names
}

// values are what an enum allows, nil for other types. The SDK's enums list
// their values in a method.
func (w *wire) values(t reflect.Type) map[string]bool {
	if known, ok := w.enums.Load(t); ok {
		return known.(map[string]bool)
	}
	var allowed map[string]bool
	if t.Kind() == reflect.String {
		if m := reflect.Zero(t).MethodByName("Values"); m.IsValid() {
			list := m.Call(nil)[0]
			allowed = map[string]bool{}
			for i := range list.Len() {
				allowed[list.Index(i).String()] = true
			}
		}
	}
	w.enums.Store(t, allowed)
	return allowed
}
