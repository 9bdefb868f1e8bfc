// Command platform writes a project that defines customers' platforms, all of
// one environment: for each customer a VPC with public and private subnets in
// two zones, an internet and a NAT gateway, route tables, three security groups
// whose ten rules name each other, a role and an instance profile, instances with
// user data in both zones, a volume on every third, a bastion with an elastic IP,
// and a private zone with a record of every instance. It is what bench/measure
// launches.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "platform:", err)
		os.Exit(2)
	}
}

type options struct {
	customers, instances int
	out, account, ami    string
	region               string
}

func run(args []string, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("platform", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.customers, "customers", 1, "how many customers")
	flags.IntVar(&o.instances, "instances", 60, "instances of each customer, the bastion among them: at least 10")
	flags.StringVar(&o.out, "out", "", "folder to write the project to; it must not be there yet")
	flags.StringVar(&o.account, "account", "000000000000", "the account that it is launched in")
	flags.StringVar(&o.region, "region", "eu-central-1", "the region")
	flags.StringVar(&o.ami, "ami", "ami-00000000000000001", "the AMI that its instances run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.customers < 1 || o.customers > 200 || o.instances < 10 || o.out == "" {
		return errors.New("it takes 1 to 200 customers, at least 10 instances, and a folder: --out DIR")
	}
	if _, err := os.Stat(o.out); err == nil {
		return fmt.Errorf("%s is there already", o.out)
	}
	files := map[string]string{
		"goldline.yaml":          "project: platform\nladder: [prod]\ntags: {team: platform}\n",
		"environments/prod.yaml": fmt.Sprintf("account: %q\nregion: %s\nvars: {ami: %s}\n", o.account, o.region, o.ami),
	}
	for n := 1; n <= o.customers; n++ {
		files[fmt.Sprintf("topology/customer-%d.yaml", n)] = customer(n, o.instances)
	}
	for name, text := range files {
		path := filepath.Join(o.out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// customer is the definitions of one customer, CUSTOMER and NET in them being
// its name and the first two numbers of its addresses.
func customer(n, instances int) string {
	rest := instances - 1 // beside the bastion
	withVolume := instances / 3
	without := rest - withVolume
	text := network + groups + access + bastion +
		servers("data", "a", (withVolume+1)/2, true) + servers("data", "b", withVolume/2, true) +
		servers("app", "a", (without+1)/2, false) + servers("app", "b", without/2, false)
	return strings.NewReplacer("CUSTOMER", fmt.Sprintf("c%d", n), "NET", fmt.Sprintf("10.%d", n)).Replace(text)
}

const network = `kind: vpc
name: CUSTOMER
cidr_block: NET.0.0/16
enable_dns_hostnames: true
---
kind: internet_gateway
name: CUSTOMER
vpc: CUSTOMER
---
kind: subnet
name: CUSTOMER-public-a
vpc: CUSTOMER
cidr_block: NET.0.0/20
availability_zone: a
map_public_ip_on_launch: true
---
kind: subnet
name: CUSTOMER-public-b
vpc: CUSTOMER
cidr_block: NET.16.0/20
availability_zone: b
map_public_ip_on_launch: true
---
kind: subnet
name: CUSTOMER-private-a
vpc: CUSTOMER
cidr_block: NET.32.0/20
availability_zone: a
---
kind: subnet
name: CUSTOMER-private-b
vpc: CUSTOMER
cidr_block: NET.48.0/20
availability_zone: b
---
kind: route_table
name: CUSTOMER-public
vpc: CUSTOMER
routes:
  - destination_cidr_block: 0.0.0.0/0
    internet_gateway: CUSTOMER
subnets: [CUSTOMER-public-a, CUSTOMER-public-b]
---
kind: elastic_ip
name: CUSTOMER-nat
---
kind: nat_gateway
name: CUSTOMER
subnet: CUSTOMER-public-a
elastic_ip: CUSTOMER-nat
---
kind: route_table
name: CUSTOMER-private
vpc: CUSTOMER
routes:
  - destination_cidr_block: 0.0.0.0/0
    nat_gateway: CUSTOMER
subnets: [CUSTOMER-private-a, CUSTOMER-private-b]
---
kind: zone
name: CUSTOMER
domain: CUSTOMER.internal
vpcs: [CUSTOMER]
`

// groups are three security groups with ten rules that name each other.
const groups = `---
kind: security_group
name: CUSTOMER-bastion
vpc: CUSTOMER
ingress:
  - {port: 22, cidr_blocks: [192.0.2.0/24]}
  - {port: 443, cidr_blocks: [0.0.0.0/0]}
  - {port: 9100, security_groups: [CUSTOMER-app]}
---
kind: security_group
name: CUSTOMER-app
vpc: CUSTOMER
ingress:
  - {port: 22, security_groups: [CUSTOMER-bastion]}
  - {port: 8080, security_groups: [CUSTOMER-bastion]}
  - {port: 9100, security_groups: [CUSTOMER-data]}
  - {port: 7946, self: true}
---
kind: security_group
name: CUSTOMER-data
vpc: CUSTOMER
ingress:
  - {port: 22, security_groups: [CUSTOMER-bastion]}
  - {port: 5432, security_groups: [CUSTOMER-app]}
  - {port: 5433, self: true}
`

// access is the role that all instances of a customer take on.
const access = `---
kind: iam_role
name: CUSTOMER
assume_role_policy:
  Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
inline_policies:
  parameters:
    Statement: [{Effect: Allow, Action: ssm:GetParameter, Resource: "arn:aws:ssm:*:*:parameter/CUSTOMER/*"}]
---
kind: instance_profile
name: CUSTOMER
role: CUSTOMER
`

const bastion = `---
kind: instance
name: CUSTOMER-bastion
ami: ${var.ami}
instance_type: t3.micro
subnet: CUSTOMER-public-a
security_groups: [CUSTOMER-bastion]
iam_instance_profile: ${instance_profile.CUSTOMER.name}
domain: bastion.CUSTOMER.internal
user_data:
  extra: {customer: CUSTOMER, service: bastion}
---
kind: elastic_ip
name: CUSTOMER-bastion
instance: CUSTOMER-bastion
`

// servers are instances in one zone, each with a volume or none with one.
func servers(service, zone string, count int, volumes bool) string {
	text := fmt.Sprintf(`---
kind: instance
name: CUSTOMER-%[1]s-%[2]s
count: %[3]d
ami: ${var.ami}
instance_type: t3.micro
subnet: CUSTOMER-private-%[2]s
security_groups: [CUSTOMER-%[1]s]
iam_instance_profile: ${instance_profile.CUSTOMER.name}
domain: %[1]s-%[2]s-${index}.CUSTOMER.internal
user_data:
  extra: {customer: CUSTOMER, service: %[1]s}
`, service, zone, count)
	if !volumes {
		return text
	}
	return text + fmt.Sprintf(`volumes:
  - volume: CUSTOMER-%[1]s-%[2]s[${index}]
    device: /dev/sdf
---
kind: volume
name: CUSTOMER-%[1]s-%[2]s
count: %[3]d
availability_zone: %[2]s
size: 10
`, service, zone, count)
}
