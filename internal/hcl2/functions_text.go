package hcl2

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"
)

// textFunctions are about text and about whether all of several hold.
func textFunctions() map[string]function.Function {
	return map[string]function.Function{
		"startswith":  asks(strings.HasPrefix),
		"endswith":    asks(strings.HasSuffix),
		"strcontains": asks(strings.Contains),
		"urlencode":   sure(url.QueryEscape),
		// What may stand in the name of an AMI; see the amazon plugin's function.
		"clean_resource_name": sure(func(s string) string { return notInAMIName.Replace(s) }),
		"sum":                 over("sum"), "anytrue": over("anytrue"), "alltrue": over("alltrue"),
	}
}

var notInAMIName = strings.NewReplacer(":", "-", "+", "-", "&", "-", "#", "-", "%", "-", "*", "-", "=", "-", ",", "-", ";", "-", "!", "-", "?", "-", "~", "-", "|", "-", "\"", "-", "<", "-", ">", "-", "$", "-", "^", "-", "{", "-", "}", "-", "\\", "-", "`", "-")

// over are functions that go over a list.
func over(which string) function.Function {
	kind := cty.Bool
	if which == "sum" {
		kind = cty.Number
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(kind),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].CanIterateElements() {
				return cty.NilVal, fmt.Errorf("a list is needed, found %s", args[0].Type().FriendlyName())
			}
			total, any, all := cty.Zero, false, true
			for it := args[0].ElementIterator(); it.Next(); {
				_, item := it.Element()
				switch {
				case which == "sum" && item.Type() == cty.Number:
					total = total.Add(item)
				case item.Type() == cty.Bool:
					any, all = any || item.True(), all && item.True()
				default:
					return cty.NilVal, fmt.Errorf("%s cannot be taken of %s", which, item.Type().FriendlyName())
				}
			}
			switch which {
			case "sum":
				return total, nil
			case "anytrue":
				return cty.BoolVal(any), nil
			}
			return cty.BoolVal(all), nil
		},
	})
}

// codeFunctions write text in other forms.
func codeFunctions() map[string]function.Function {
	return map[string]function.Function{
		"base64encode": sure(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"base64decode": text1(func(s string) (string, error) {
			raw, err := base64.StdEncoding.DecodeString(s)
			if err == nil && !utf8.Valid(raw) {
				err = fmt.Errorf("what is encoded is not text")
			}
			return string(raw), err
		}),
		"md5":    sure(func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"sha1":   sure(func(s string) string { sum := sha1.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"sha256": sure(func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"sha512": sure(func(s string) string { sum := sha512.Sum512([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"bcrypt": text1(func(s string) (string, error) {
			hash, err := bcrypt.GenerateFromPassword([]byte(s), bcrypt.DefaultCost)
			return string(hash), err
		}),
		"uuidv5":     textN(2, func(args []string) (string, error) { return uuidV5(args[0], args[1]) }),
		"yamldecode": yamlDecode(),
		"yamlencode": yamlEncode(),
	}
}

func uuidV5(space, name string) (string, error) {
	spaces := map[string]uuid.UUID{"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID, "x500": uuid.NameSpaceX500}
	id, ok := spaces[space]
	if !ok {
		var err error
		if id, err = uuid.Parse(space); err != nil {
			return "", fmt.Errorf("the name space is dns, url, oid, x500 or a UUID, found %q", space)
		}
	}
	return uuid.NewSHA1(id, []byte(name)).String(), nil
}

// yamlDecode reads YAML by way of JSON, whose values the language has.
func yamlDecode() function.Function {
	decode := func(text string) (cty.Value, error) {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return cty.NilVal, err
		}
		json, err := jsonOf(value)
		if err != nil {
			return cty.NilVal, err
		}
		return stdlib.JSONDecode(cty.StringVal(json))
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[0].IsKnown() {
				return cty.DynamicPseudoType, nil
			}
			v, err := decode(args[0].AsString())
			if err != nil {
				return cty.NilType, err
			}
			return v.Type(), nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return decode(args[0].AsString()) },
	})
}

func yamlEncode() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowNull: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			json, err := stdlib.JSONEncode(args[0])
			if err != nil {
				return cty.NilVal, err
			}
			var value any
			if err := yaml.Unmarshal([]byte(json.AsString()), &value); err != nil {
				return cty.NilVal, err
			}
			text, err := yaml.Marshal(value)
			return cty.StringVal(string(text)), err
		},
	})
}
