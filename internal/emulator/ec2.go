package emulator

// ec2Service holds the tables of EC2 and carries out its actions.
type ec2Service struct {
	cloud *Cloud
}

// newEC2 adds EC2's tables to the store, its actions to the registry and its
// settlers to the cloud. It is called before the store is loaded.
func newEC2(c *Cloud) *ec2Service {
	return &ec2Service{cloud: c}
}
