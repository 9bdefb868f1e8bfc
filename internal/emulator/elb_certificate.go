package emulator

import (
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// A secure listener has one certificate of its own, and more for clients that
// name a host. What is in them nobody here looks at.

func (s *elbService) addCertificates() {
	elbOn(s, "DescribeListenerCertificates", "ListenerArn Marker PageSize", s.describeListenerCertificates)
	elbOn(s, "AddListenerCertificates", "ListenerArn Certificates.CertificateArn", s.addListenerCertificates)
	elbOn(s, "RemoveListenerCertificates", "ListenerArn Certificates.CertificateArn", s.removeListenerCertificates)
}

// secureListener is a listener that has certificates.
func (s *elbService) secureListener(c apiCall, arn *string) (listenerRow, error) {
	row, err := s.listener(c.w, arn)
	if err == nil && len(row.Listener.Certificates) == 0 {
		err = refuse("UnsupportedOperation", "Certificates are for listeners over HTTPS and TLS")
	}
	return row, err
}

func (s *elbService) describeListenerCertificates(c apiCall, in *elb.DescribeListenerCertificatesInput) (*elb.DescribeListenerCertificatesOutput, error) {
	row, err := s.listener(c.w, in.ListenerArn)
	if err != nil {
		return nil, err
	}
	var all []types.Certificate
	for _, own := range row.Listener.Certificates {
		all = append(all, types.Certificate{CertificateArn: own.CertificateArn, IsDefault: new(true)})
	}
	for _, arn := range row.More {
		all = append(all, types.Certificate{CertificateArn: new(arn), IsDefault: new(false)})
	}
	arn := func(c types.Certificate) string { return *c.CertificateArn }
	slices.SortFunc(all, func(a, b types.Certificate) int { return strings.Compare(arn(a), arn(b)) })
	all, next, err := page(all, arn, paging{elbPage(in.PageSize), in.Marker, 1, elbPageLimit})
	return &elb.DescribeListenerCertificatesOutput{Certificates: all, NextMarker: next}, err
}

func (s *elbService) addListenerCertificates(c apiCall, in *elb.AddListenerCertificatesInput) (*elb.AddListenerCertificatesOutput, error) {
	row, err := s.secureListener(c, in.ListenerArn)
	if err != nil {
		return nil, err
	}
	row.More = slices.Clone(row.More)
	for _, add := range in.Certificates {
		if !slices.Contains(row.More, deref(add.CertificateArn)) {
			row.More = append(row.More, deref(add.CertificateArn))
		}
	}
	s.listeners.put(c.w, row.arn(), row)
	return &elb.AddListenerCertificatesOutput{Certificates: in.Certificates}, nil
}

func (s *elbService) removeListenerCertificates(c apiCall, in *elb.RemoveListenerCertificatesInput) (*elb.RemoveListenerCertificatesOutput, error) {
	row, err := s.secureListener(c, in.ListenerArn)
	if err != nil {
		return nil, err
	}
	row.More = keep(row.More, func(arn string) bool {
		return !slices.ContainsFunc(in.Certificates, func(c types.Certificate) bool { return deref(c.CertificateArn) == arn })
	})
	s.listeners.put(c.w, row.arn(), row)
	return &elb.RemoveListenerCertificatesOutput{}, nil
}
