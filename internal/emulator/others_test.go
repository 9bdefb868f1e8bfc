package emulator

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// program runs another AWS client against a cloud on a port, and skips aloud
// where it is not installed.
func program(t *testing.T, url, stdin string, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: the local cloud is not tried with it", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") }),
		"AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=AKIDLOCAL", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_DEFAULT_REGION="+testRegion, "AWS_REGION="+testRegion, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "NO_PROXY=127.0.0.1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// awsCLI runs the AWS CLI and returns its JSON.
func awsCLI(t *testing.T, url string, args ...string) map[string]any {
	t.Helper()
	out, errs, err := program(t, url, "", "aws", append(args, "--output", "json")...)
	if err != nil {
		t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
	answer := map[string]any{}
	if strings.TrimSpace(out) != "" {
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return answer
}

// python runs a script with boto3.
func python(t *testing.T, url, script string) string {
	t.Helper()
	if _, _, err := program(t, url, "", "python3", "-c", "import boto3"); err != nil {
		t.Skip("boto3 is not installed: the local cloud is not tried with it")
	}
	out, errs, err := program(t, url, script, "python3", "-")
	if err != nil {
		t.Fatalf("python3: %v\n%s%s", err, out, errs)
	}
	return out
}

func TestAWSCLI(t *testing.T) {
	url := serve(t, newTestCloud(t, Options{}).Cloud)
	if who := awsCLI(t, url, "sts", "get-caller-identity"); who["Account"] != defaultAccount {
		t.Errorf("the caller is %v", who)
	}
	awsCLI(t, url, "ssm", "put-parameter", "--name", "/a/b", "--value", "v <&> é", "--type", "String", "--tags", "Key=k,Value=v")
	got := awsCLI(t, url, "ssm", "get-parameter", "--name", "/a/b:1")["Parameter"].(map[string]any)
	if got["Value"] != "v <&> é" || got["Version"] != 1.0 || got["Selector"] != ":1" {
		t.Errorf("the parameter is %v", got)
	}
	_, errs, err := program(t, url, "", "aws", "ssm", "get-parameter", "--name", "/none")
	if err == nil || !strings.Contains(errs, "(ParameterNotFound)") {
		t.Errorf("no error, or another: %v %s", err, errs)
	}
}

func TestBoto3(t *testing.T) {
	url := serve(t, newTestCloud(t, Options{}).Cloud)
	out := python(t, url, `
import boto3
from botocore.exceptions import ClientError

sts = boto3.client("sts")
role = sts.assume_role(RoleArn="arn:aws:iam::111122223333:role/deploy", RoleSessionName="run")
given = role["Credentials"]
ssm = boto3.client("ssm", aws_access_key_id=given["AccessKeyId"],
                   aws_secret_access_key=given["SecretAccessKey"], aws_session_token=given["SessionToken"])
for i in range(12):
    ssm.put_parameter(Name=f"/p/{i:02}", Value=str(i), Type="String")
pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/p")
print([p["Value"] for page in pages for p in page["Parameters"]])
print(ssm.get_parameter(Name="/p/00")["Parameter"]["ARN"])
print(boto3.client("ssm").describe_parameters()["Parameters"])
for call in (lambda: ssm.put_parameter(Name="/p/00", Value="x"),
             lambda: boto3.client("ec2").describe_fleets(),
             lambda: sts.assume_role(RoleArn="arn:aws:iam::1:role/no-such-role", RoleSessionName="run")):
    try:
        call()
    except ClientError as e:
        print(e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"], bool(e.response["ResponseMetadata"]["RequestId"]))
`)
	want := `['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11']
arn:aws:ssm:eu-central-1:111122223333:parameter/p/00
[]
ParameterAlreadyExists 400 True
InvalidAction 400 True
ValidationError 400 True
`
	if out != want {
		t.Errorf("boto3 saw:\n%s\nnot:\n%s", out, want)
	}
}
