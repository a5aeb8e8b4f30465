{{- define "bakeoff.labels" -}}
app.kubernetes.io/name: bakeoff
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bakeoff.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The sentence of what the schema cannot say: values of the object store that need each other. */}}
{{- define "bakeoff.checkObjectStore" -}}
{{- /* Values that an older release stored (--reuse-values) lack what has come since. */}}
{{- $archive := (.Values.objectStore | default dict).archive | default "" }}
{{- if and (hasPrefix "/" $archive) (not .Values.existingClaim) }}
{{- fail (printf "objectStore.archive == '%s', must be in a store, or come with existingClaim: a pod's own folder ends with it." $archive) }}
{{- end }}
{{- with .Values.objectStore }}
{{- if and .secretKeys (not .existingSecret) }}
{{- fail (printf "objectStore.secretKeys == [%s], must come with objectStore.existingSecret." (join ", " .secretKeys)) }}
{{- end }}
{{- if and .existingSecret (not .secretKeys) }}
{{- fail (printf "objectStore.existingSecret == '%s', must come with objectStore.secretKeys: the keys of it that are read." .existingSecret) }}
{{- end }}
{{- if ne (has "AWS_ACCESS_KEY_ID" .secretKeys) (has "AWS_SECRET_ACCESS_KEY" .secretKeys) }}
{{- fail (printf "objectStore.secretKeys == [%s], must have both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither." (join ", " .secretKeys)) }}
{{- end }}
{{- if and .secretKeys (not .artifacts) (not (contains "://" $archive)) }}
{{- fail (printf "objectStore.secretKeys == [%s], must come with objectStore.artifacts or objectStore.archive in a store." (join ", " .secretKeys)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The same, of a backup. */}}
{{- define "bakeoff.checkBackup" -}}
{{- with .Values.backup }}
{{- if ne (empty .existingSecret) (empty .secretKeys) }}
{{- fail (printf "backup.existingSecret == '%s', must come with backup.secretKeys, the keys of it that are read, and they with it." (.existingSecret | default "")) }}
{{- end }}
{{- if ne (has "AWS_ACCESS_KEY_ID" .secretKeys) (has "AWS_SECRET_ACCESS_KEY" .secretKeys) }}
{{- fail (printf "backup.secretKeys == [%s], must have both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither." (join ", " .secretKeys)) }}
{{- end }}
{{- range .secretKeys }}
{{- if has . (($.Values.objectStore | default dict).secretKeys | default list) }}
{{- fail (printf "backup.secretKeys has %s, must be left out: objectStore.secretKeys has it." .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What every pod has beside its container's command; the context is the chart's. One that has a secret
of its own, of a store, names it as storeSecret. */}}
{{- define "bakeoff.pod" -}}
{{- include "bakeoff.checkObjectStore" . }}
automountServiceAccountToken: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: 60
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  # Ownership of many artifacts is not changed again at every start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: home
{{- if .Values.existingClaim }}
    persistentVolumeClaim: {claimName: {{ .Values.existingClaim }}}
{{- else }}
    emptyDir: {}
{{- end }}
  - name: secrets
    secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 0440}
{{- with (.Values.objectStore | default dict).existingSecret }}
  - name: object-store
    secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .storeSecret }}
  - name: store
    secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "bakeoff.container" -}}
image: {{ include "bakeoff.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
{{- range .Values.secretKeys }}
  - {name: {{ . }}_FILE, value: /run/secrets/bakeoff/{{ . }}}
{{- end }}
{{- range .storeKeys }}
  - {name: {{ eq . "GOOGLE_APPLICATION_CREDENTIALS" | ternary . (printf "%s_FILE" .) }}, value: /run/secrets/store/{{ . }}}
{{- end }}
{{- with .Values.objectStore }}
{{- range .secretKeys }}
  {{- /* Google's own variable is a file's name already. */}}
  - {name: {{ eq . "GOOGLE_APPLICATION_CREDENTIALS" | ternary . (printf "%s_FILE" .) }}, value: /run/secrets/object-store/{{ . }}}
{{- end }}
{{- $variables := dict "BAKEOFF_ARTIFACTS" .artifacts "BAKEOFF_ARCHIVE" .archive "AWS_REGION" .region "AWS_ENDPOINT" .endpoint }}
{{- range $name, $value := $variables }}
{{- if $value }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- if hasPrefix "http://" (.endpoint | default "") }}
  - {name: AWS_ALLOW_HTTP, value: "true"}
{{- end }}
{{- if .archiveAfterMonths }}
  - {name: BAKEOFF_ARCHIVE_AFTER_MONTHS, value: {{ .archiveAfterMonths | toString | quote }}}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
  - {name: {{ $name }}, value: {{ ternary (toJson $value) (toString $value) (kindIs "float64" $value) | quote }}}
{{- end }}
volumeMounts:
  - {name: home, mountPath: /var/lib/bakeoff}
  - {name: secrets, mountPath: /run/secrets/bakeoff, readOnly: true}
{{- if (.Values.objectStore | default dict).existingSecret }}
  - {name: object-store, mountPath: /run/secrets/object-store, readOnly: true}
{{- end }}
{{- if .storeSecret }}
  - {name: store, mountPath: /run/secrets/store, readOnly: true}
{{- end }}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- /* Probes of a worker or beat, by its signs of life; an interpreter starts for each, so they are rare. */}}
{{- define "bakeoff.signsOfLife" -}}
startupProbe:
  exec: {command: [python, -m, bakeoff.container_check, {{ . }}, --alive]}
  periodSeconds: 15
  timeoutSeconds: 15
  failureThreshold: 20
livenessProbe:
  exec: {command: [python, -m, bakeoff.container_check, {{ . }}, --alive]}
  periodSeconds: 60
  timeoutSeconds: 30
  failureThreshold: 3
{{- end }}
