// Package emulator is the local cloud: EC2, SSM Parameter Store and STS behind
// their real wire protocols, for Goldline's --local, for its tests, and for any
// AWS client on loopback. It is strict: what it does not know, it refuses with
// an error of AWS's shape and never ignores. It keeps everything below one
// folder and calls nothing outside this machine.
//
// A request goes through the same stations whatever its service: the front
// (front.go) finds the service, the caller and the region; faults and buckets
// may answer it; the engine (package-internal wire files) decodes it into the
// SDK's own input type; a typed handler runs as one transaction on the store;
// the engine encodes the answer. Handlers live one file a resource.
package emulator
