package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// Codes of the engine's own refusals; each protocol has its words.

func (w *wire) unknownParameter() string {
	return map[protocol]string{protocolEC2: "UnknownParameter", protocolQuery: "ValidationError", protocolJSON: "ValidationException", protocolREST: "InvalidInput"}[w.protocol]
}

func (w *wire) invalidValue() string {
	return map[protocol]string{protocolEC2: "InvalidParameterValue", protocolQuery: "ValidationError", protocolJSON: "ValidationException", protocolREST: "InvalidInput"}[w.protocol]
}

func (w *wire) missingParameter(name string) error {
	if w.protocol == protocolEC2 {
		return refuse("MissingParameter", "The request must contain the parameter %s", name)
	}
	return refuse(w.invalidValue(), "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", lowerFirst(name))
}

func (w *wire) unknownAction(action string) error {
	switch w.protocol {
	case protocolEC2, protocolQuery, protocolREST:
		return refuse("InvalidAction", "The action %s is not valid for this web service", action)
	}
	return refuse("UnknownOperationException", "The action %s is not known", action)
}

// encodeError writes an error in the shape of a protocol.
func encodeError(p protocol, e *apiError, requestID string) answer {
	a := answer{status: e.Status, header: http.Header{}}
	var b bytes.Buffer
	switch p {
	case protocolJSON:
		a.header.Set("Content-Type", "application/x-amz-json-1.1")
		a.header.Set("X-Amzn-Errortype", e.Code)
		a.body, _ = json.Marshal(map[string]string{"__type": e.Code, "message": e.Message}) // strings always marshal
		return a
	case protocolQuery, protocolREST:
		kind, namespace := "Sender", "https://sts.amazonaws.com/doc/2011-06-15/"
		if p == protocolREST {
			namespace = "https://route53.amazonaws.com/doc/2013-04-01/"
		}
		if e.Status >= http.StatusInternalServerError {
			kind = "Receiver"
		}
		fmt.Fprintf(&b, `%s<ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
			xmlHeader, namespace, kind, escape(e.Code), escape(e.Message), requestID)
	default:
		fmt.Fprintf(&b, `%s<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>`,
			xmlHeader, escape(e.Code), escape(e.Message), requestID)
	}
	a.header.Set("Content-Type", "text/xml;charset=UTF-8")
	a.body = b.Bytes()
	return a
}
