package emulator

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func signed(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-central-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
}

// What goes wrong before an action is found is said in the service's own shape.
func TestFrontRefuses(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	for name, c := range map[string]struct {
		auth, target, body string
		status             int
		want               string
	}{
		"unsigned":         {"", "", "Action=DescribeVpcs", 403, "<Response><Errors><Error><Code>MissingAuthenticationToken</Code>"},
		"unsigned JSON":    {"", "AmazonSSM.GetParameter", "{}", 403, `"__type":"MissingAuthenticationToken"`},
		"basic auth":       {"Basic eDp5", "", "Action=DescribeVpcs", 401, "<Code>AuthFailure</Code>"},
		"short scope":      {"AWS4-HMAC-SHA256 Credential=AKID/ec2/aws4_request", "", "", 401, "<Code>AuthFailure</Code>"},
		"no region":        {strings.Replace(signed("ec2"), "eu-central-1", "mars", 1), "", "", 400, "&#34;mars&#34; is no region"},
		"unknown service":  {signed("s3"), "", "", 400, "<Code>UnknownService</Code>"},
		"no action":        {signed("ec2"), "", "A=b", 400, "<Code>MissingAction</Code>"},
		"unknown action":   {signed("ec2"), "", "Action=MakeCoffee", 400, "<Code>InvalidAction</Code>"},
		"unknown, STS":     {signed("sts"), "", "Action=MakeCoffee", 400, "<ErrorResponse xmlns="},
		"unknown, SSM":     {signed("ssm"), "AmazonSSM.MakeCoffee", "{}", 400, `"__type":"UnknownOperationException"`},
		"parameter":        {signed("sts"), "", "Action=GetCallerIdentity&Milk=1", 400, "<Code>ValidationError</Code>"},
		"missing":          {signed("sts"), "", "Action=AssumeRole&RoleArn=x", 400, "roleSessionName"},
		"no JSON":          {signed("ssm"), "AmazonSSM.GetParameter", "[", 400, "SerializationException"},
		"member":           {signed("ssm"), "AmazonSSM.GetParameter", `{"Name":"a","Milk":1}`, 400, "ValidationException"},
		"type of member":   {signed("ssm"), "AmazonSSM.GetParameter", `{"Name":7}`, 400, "SerializationException"},
		"missing member":   {signed("ssm"), "AmazonSSM.GetParameter", `{}`, 400, "Value null at 'name'"},
		"enum":             {signed("ssm"), "AmazonSSM.PutParameter", `{"Name":"a","Value":"b","Type":"Tea"}`, 400, "enum value set"},
		"unknown temp key": {strings.Replace(signed("ssm"), "AKID", "ASIAX", 1), "AmazonSSM.GetParameter", `{}`, 400, "UnrecognizedClientException"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			if c.auth != "" {
				r.Header.Set("Authorization", c.auth)
			}
			if c.target != "" {
				r.Header.Set("X-Amz-Target", c.target)
				r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			}
			w := httptest.NewRecorder()
			cloud.Handler().ServeHTTP(w, r)
			body, _ := io.ReadAll(w.Body)
			if w.Code != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("answer is %d %s, want %d with %s", w.Code, body, c.status, c.want)
			}
			if w.Header().Get("X-Amzn-Requestid") == "" {
				t.Error("no request ID")
			}
		})
	}
}

func TestPresigned(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	r := httptest.NewRequest(http.MethodGet, "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=111122223333%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Signature=0", nil)
	w := httptest.NewRecorder()
	cloud.Handler().ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<GetCallerIdentityResult><Account>111122223333</Account>") {
		t.Errorf("answer is %d %s", w.Code, w.Body)
	}
}

func TestAccounts(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	dir := t.TempDir()
	cloud := newTestCloud(t, Options{Clock: clock, Dir: dir})
	for key, account := range map[string]string{"AKIDLOCAL": "000000000000", "444455556666": "444455556666"} {
		who, err := sts.NewFromConfig(configOf(cloud.Transport(), key, "", testRegion)).GetCallerIdentity(t.Context(), nil)
		if err != nil || *who.Account != account || *who.Arn != "arn:aws:iam::"+account+":root" {
			t.Errorf("%s is %+v (%v)", key, who, err)
		}
	}
	role, err := cloud.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::777788889999:role/team/deploy"), RoleSessionName: aws.String("run-1"), DurationSeconds: aws.Int32(900),
	})
	if err != nil {
		t.Fatal(err)
	}
	// The credentials outlive the process that gave them out.
	if err := cloud.Close(); err != nil {
		t.Fatal(err)
	}
	cloud = newTestCloud(t, Options{Clock: clock, Dir: dir})
	config := configOf(cloud.Transport(), *role.Credentials.AccessKeyId, *role.Credentials.SessionToken, testRegion)
	who, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), nil)
	if err != nil || *who.Account != "777788889999" || *who.Arn != "arn:aws:sts::777788889999:assumed-role/deploy/run-1" || *who.UserId != *role.AssumedRoleUser.AssumedRoleId {
		t.Errorf("the role is %+v (%v)", who, err)
	}
	if err := putNew(t.Context(), ssm.NewFromConfig(config), "theirs"); err != nil {
		t.Fatal(err)
	}
	_, err = cloud.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("theirs")})
	wantCode(t, err, "ParameterNotFound")
	history, err := ssm.NewFromConfig(config).GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String("theirs")})
	if err != nil || *history.Parameters[0].LastModifiedUser != *who.Arn {
		t.Errorf("history is %+v (%v)", history, err)
	}
	clock.Advance(15 * time.Minute)
	_, err = sts.NewFromConfig(config).GetCallerIdentity(t.Context(), nil)
	wantCode(t, err, "ExpiredToken")
	_, err = ssm.NewFromConfig(config).DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
	wantCode(t, err, "ExpiredTokenException")
}

func TestAssumeRoleRefuses(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	good := sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::777788889999:role/deploy"), RoleSessionName: aws.String("run")}
	for name, change := range map[string]func(*sts.AssumeRoleInput){
		"role":     func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::1:role/deploy") },
		"session":  func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") },
		"short":    func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) },
		"long":     func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) },
		"policies": func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{}") },
	} {
		t.Run(name, func(t *testing.T) {
			in := good
			change(&in)
			_, err := cloud.sts.AssumeRole(t.Context(), &in)
			wantCode(t, err, "ValidationError")
		})
	}
	if _, err := cloud.sts.AssumeRole(t.Context(), &good); err != nil {
		t.Error(err)
	}
}

func TestInventory(t *testing.T) {
	cloud := newTestCloud(t, Options{})
	before, err := cloud.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	if err := putNew(t.Context(), cloud.ssm, "a"); err != nil {
		t.Fatal(err)
	}
	_, err = cloud.ssm.AddTagsToResource(t.Context(), &ssm.AddTagsToResourceInput{
		ResourceId: aws.String("a"), ResourceType: types.ResourceTypeForTaggingParameter,
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := cloud.Inventory()
	if got := after[defaultAccount+"/"+testRegion+" parameters"]; err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "a v") || !strings.HasSuffix(got[0], " k=v") {
		t.Errorf("inventory is %v (%v)", after, err)
	}
	if _, err := cloud.ssm.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	if after, err = cloud.Inventory(); err != nil || len(after) != len(before) {
		t.Errorf("inventory is %v (%v), was %v", after, err, before)
	}
}
