package emulator

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// filler fills a value of an SDK type with something in every member, as deep
// as depth goes.
type filler struct{ n int }

func (f *filler) fill(v reflect.Value, depth int) {
	f.n++
	t := v.Type()
	switch {
	case t == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(f.n), 250e6).UTC()))
	case t.Kind() == reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct && t.Elem() != reflect.TypeFor[time.Time]() && depth == 0 {
			return
		}
		v.Set(reflect.New(t.Elem()))
		f.fill(v.Elem(), depth)
	case isList(t):
		if t.Elem().Kind() == reflect.Struct && depth == 0 {
			return
		}
		v.Set(reflect.MakeSlice(t, 2, 2))
		f.fill(v.Index(0), depth)
		f.fill(v.Index(1), depth)
	case t.Kind() == reflect.Slice:
		v.SetBytes([]byte{byte(f.n), 0, 255})
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if carried(t.Field(i)) {
				f.fill(v.Field(i), depth-1)
			}
		}
	case t.Kind() == reflect.String:
		if m := v.MethodByName("Values"); m.IsValid() {
			values := m.Call(nil)[0]
			v.SetString(values.Index(f.n % values.Len()).String())
			return
		}
		v.SetString("text <&> é" + strings.Repeat("x", f.n%3))
	case t.Kind() == reflect.Bool:
		v.SetBool(true)
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		v.SetFloat(float64(f.n) + 0.5)
	case t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64:
		v.SetInt(int64(f.n))
	}
}

// newerThanModel are the actions whose shapes the model that the tables were
// generated from did not have yet. The local cloud has none of them.
var newerThanModel = map[string]bool{
	"CreateVpcEndpoint": true, "DescribeVpcEndpoints": true, "DescribeVpcEndpointConnections": true,
	"ModifyVpcEndpointPayerResponsibility": true, "DescribeApplicationStatus": true, "DescribeCapacityReservationFleets": true,
}

// Every operation of the SDK's client goes over the wire and comes back: what
// the client sends is what a handler gets, and what a handler answers is what
// the client returns. So the engine's names are the SDK's own, for all of EC2.
func TestWireAgreesWithSDK(t *testing.T) {
	wires, err := newWires()
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []struct {
		name   string
		client func(http.RoundTripper) any
		only   string
	}{
		{"ec2", func(rt http.RoundTripper) any { return ec2.NewFromConfig(configOf(rt, "AKID", "", testRegion)) }, ""},
		{"sts", func(rt http.RoundTripper) any { return sts.NewFromConfig(configOf(rt, "AKID", "", testRegion)) }, "AssumeRole GetCallerIdentity GetSessionToken"},
		{"route53", func(rt http.RoundTripper) any { return route53.NewFromConfig(configOf(rt, "AKID", "", testRegion)) }, ""},
		{"ssm", func(rt http.RoundTripper) any { return ssm.NewFromConfig(configOf(rt, "AKID", "", testRegion)) }, "PutParameter GetParameter GetParameters GetParametersByPath GetParameterHistory DescribeParameters DeleteParameter DeleteParameters LabelParameterVersion UnlabelParameterVersion AddTagsToResource RemoveTagsFromResource ListTagsForResource"},
	} {
		t.Run(service.name, func(t *testing.T) {
			echo := &echo{wire: wires[service.name], service: service.name}
			client := reflect.ValueOf(service.client(echo))
			tried := 0
			for i := range client.NumMethod() {
				action, method := client.Type().Method(i).Name, client.Method(i)
				if method.Type().NumIn() != 3 || action == "Options" || newerThanModel[action] || service.only != "" && !strings.Contains(" "+service.only+" ", " "+action+" ") {
					continue
				}
				tried++
				echo.roundTrip(t, action, method)
			}
			if tried == 0 {
				t.Error("no operation was tried")
			}
		})
	}
}

// echo is a service that decodes what it is sent and answers with a full
// output.
type echo struct {
	wire    *wire
	service string
	input   reflect.Value
	output  reflect.Value
	err     error
}

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	var err error
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	req := &request{id: "id", service: e.service, wire: e.wire}
	if e.wire.protocol == protocolREST {
		req.form, req.body = r.URL.Query(), body
		if req.action, req.labels, err = e.wire.route(r.Method, r.URL); err != nil {
			return nil, err
		}
		e.err = e.wire.decodeREST(req, e.input.Elem())
	} else if e.wire.protocol == protocolJSON {
		_, req.action, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		e.err = e.wire.decodeJSON(body, e.input.Elem())
	} else {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		req.action = form.Get("Action")
		e.err = e.wire.decodeForm(form, e.input.Elem())
	}
	a, err := req.encode(e.output.Interface())
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

func (e *echo) roundTrip(t *testing.T, action string, method reflect.Value) {
	t.Helper()
	const depth = 9
	sent := reflect.New(method.Type().In(1).Elem())
	(&filler{}).fill(sent.Elem(), depth)
	e.input, e.output = reflect.New(sent.Type().Elem()), reflect.New(method.Type().Out(0).Elem())
	(&filler{n: 7}).fill(e.output.Elem(), depth)
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), sent})
	if err, _ := results[1].Interface().(error); err != nil {
		t.Errorf("%s: %v", action, err)
		return
	}
	if e.err != nil {
		t.Errorf("%s: decode: %v", action, e.err)
		return
	}
	if diff := difference(sent.Elem(), e.input.Elem()); diff != "" {
		t.Errorf("%s: request: %s", action, diff)
	}
	if diff := difference(e.output.Elem(), results[0].Elem()); diff != "" {
		t.Errorf("%s: answer: %s", action, diff)
	}
}

// difference names the first member in which two values differ.
func difference(want, got reflect.Value) string {
	switch want.Kind() {
	case reflect.Pointer:
		if want.IsNil() || got.IsNil() {
			if want.IsNil() != got.IsNil() {
				return " is nil in one"
			}
			return ""
		}
		return difference(want.Elem(), got.Elem())
	case reflect.Slice:
		if want.Len() != got.Len() {
			return " differs in length"
		}
		for i := range want.Len() {
			if d := difference(want.Index(i), got.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Struct:
		if at, ok := want.Interface().(time.Time); ok {
			if !at.Equal(got.Interface().(time.Time)) {
				return " differs as a time"
			}
			return ""
		}
		for i := range want.NumField() {
			if f := want.Type().Field(i); carried(f) {
				if d := difference(want.Field(i), got.Field(i)); d != "" {
					return want.Type().Name() + "." + f.Name + " " + strings.TrimPrefix(d, want.Type().Name()+".")
				}
			}
		}
		return ""
	}
	if want.Interface() != got.Interface() {
		return " differs in value"
	}
	return ""
}
