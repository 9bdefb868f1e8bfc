package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// encodeXML writes the answer of an action. The output's own lists are there
// even when they are empty, as EC2's are, since clients index them unasked;
// further down a nil list is absent and an empty one is an empty element.
func (w *wire) encodeXML(action, requestID string, output any) []byte {
	var b bytes.Buffer
	v := reflect.Indirect(reflect.ValueOf(output))
	b.WriteString(xmlHeader)
	fmt.Fprintf(&b, `<%sResponse xmlns="%s">`, action, w.namespace)
	if w.protocol == protocolREST {
		w.encodeFields(&b, v, true)
	} else if w.protocol == protocolQuery {
		fmt.Fprintf(&b, "<%sResult>", action)
		w.encodeFields(&b, v, true)
		fmt.Fprintf(&b, "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>", action, requestID)
	} else {
		fmt.Fprintf(&b, "<requestId>%s</requestId>", requestID)
		// The attribute asked for is the only one in an answer about attributes.
		w.encodeFields(&b, v, !strings.HasSuffix(action, "Attribute"))
		if empty(v.Type()) {
			b.WriteString("<return>true</return>")
		}
	}
	fmt.Fprintf(&b, "</%sResponse>", action)
	return b.Bytes()
}

func empty(t reflect.Type) bool {
	for i := range t.NumField() {
		if carried(t.Field(i)) {
			return false
		}
	}
	return true
}

func (w *wire) encodeFields(b *bytes.Buffer, v reflect.Value, emptyLists bool) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !carried(f) || w.places[t.Name()+"."+f.Name].kind != "" {
			continue
		}
		if isList(f.Type) {
			w.encodeList(b, v.Field(i), w.outName(t, f), w.itemName(t, f), emptyLists)
			continue
		}
		w.encodeValue(b, v.Field(i), w.outName(t, f))
	}
}

func (w *wire) encodeList(b *bytes.Buffer, list reflect.Value, name, item string, evenEmpty bool) {
	if list.IsNil() && !evenEmpty {
		return
	}
	if list.Len() == 0 {
		fmt.Fprintf(b, "<%s/>", name)
		return
	}
	fmt.Fprintf(b, "<%s>", name)
	for i := range list.Len() {
		e := list.Index(i)
		switch {
		case e.Kind() == reflect.Struct && e.Type() != reflect.TypeFor[time.Time]():
			w.element(b, item, func() { w.encodeFields(b, e, false) })
		default:
			w.element(b, item, func() { b.WriteString(escape(scalar(e))) })
		}
	}
	fmt.Fprintf(b, "</%s>", name)
}

// encodeValue writes a member that is no list. What is nil, and an enum
// without a value, is absent.
func (w *wire) encodeValue(b *bytes.Buffer, v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		v = v.Elem()
	case reflect.String, reflect.Slice:
		if v.Len() == 0 {
			return
		}
	}
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
		w.element(b, name, func() { w.encodeFields(b, v, false) })
		return
	}
	w.element(b, name, func() { b.WriteString(escape(scalar(v))) })
}

func (w *wire) element(b *bytes.Buffer, name string, content func()) {
	fmt.Fprintf(b, "<%s>", name)
	content()
	fmt.Fprintf(b, "</%s>", name)
}

// scalar is a value as XML holds it; times have milliseconds, as EC2's do.
func scalar(v reflect.Value) string {
	if at, ok := v.Interface().(time.Time); ok {
		return at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits())
	case reflect.Slice:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return v.String()
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes every write
	return b.String()
}
